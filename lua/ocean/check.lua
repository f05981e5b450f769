-- Argument checks of the library's Lua files: misuse is raised with the function, the option and the script's line.
local ocean, I = ...

local check = {}

-- Lists and maps may be plain tables or JSON values (a list from ocean.config, for example).
local function is_map(v) return type(v) == "table" or ocean.json.type(v) == "object" end
local function is_list(v) return type(v) == "table" or ocean.json.type(v) == "array" end

local function fits(v, kind)
  if kind == "any" then return true end
  if kind == "map" then return is_map(v) end
  if kind == "list" then return is_list(v) end
  if kind == "integer" then return math.type(v) == "integer" or (type(v) == "number" and v == math.floor(v)) end
  if kind == "false" then return v == false end
  return type(v) == kind
end

-- spec: "string", "number|function", ...
local function fits_any(v, spec)
  for kind in spec:gmatch("[^|]+") do
    if fits(v, kind) then return true end
  end
  return false
end

local function nearest(name, allowed)
  local best, distance
  for known in pairs(allowed) do
    local d = I.distance(name, known)
    if d <= 2 and d < #known and (not distance or d < distance or (d == distance and known < best)) then
      best, distance = known, d
    end
  end
  return best
end

local function names(allowed)
  local list = {}
  for name in pairs(allowed) do list[#list + 1] = name end
  table.sort(list)
  return table.concat(list, ", ")
end

local function describe(v)
  return type(v) == "userdata" and (ocean.json.type(v) or "userdata") or type(v)
end

-- check.options("ocean.http.client", opts, { base_url = "string", ... }) returns opts, or an empty table for nil.
function check.options(fn, opts, allowed)
  if opts == nil then return {} end
  if type(opts) ~= "table" then
    I.misuse(("%s: a table of options was expected, got %s"):format(fn, describe(opts)))
  end
  for name, value in pairs(opts) do
    local spec = allowed[name]
    if not spec then
      local near = type(name) == "string" and nearest(name, allowed)
      I.misuse(("%s: unknown option '%s'; %s"):format(fn, tostring(name),
        near and ("did you mean '%s'?"):format(near) or "known are " .. names(allowed)))
    end
    if not fits_any(value, spec) then
      I.misuse(("%s: option '%s' must be a %s, got %s"):format(fn, name, spec:gsub("|", " or "), describe(value)))
    end
  end
  return opts
end

function check.argument(fn, name, value, spec, hint)
  if not fits_any(value, spec) then
    I.misuse(("%s: %s must be a %s, got %s%s"):format(fn, name, spec:gsub("|", " or "), describe(value), hint or ""))
  end
  return value
end

function check.range(fn, name, value, low, high)
  if value ~= nil and (value < low or value > high) then
    I.misuse(("%s: %s must be between %s and %s, got %s"):format(fn, name, low, high, value))
  end
  return value
end

-- A set of integers from a list.
function check.integers(fn, name, list)
  local set = {}
  if list == nil then return set end
  for _, v in ipairs(list) do
    if not fits(v, "integer") then
      I.misuse(("%s: option '%s' must be a list of integers, it holds a %s"):format(fn, name, describe(v)))
    end
    set[math.tointeger(v)] = true
  end
  return set
end

return check
