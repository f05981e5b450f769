-- lua/types/ocean.lua describes exactly what the library has: every function and field of the live table is in it, and
-- the other way round; methods of clients, responses and streams as well; every function has an example.
local path = "lua/types/ocean.lua"
local file = assert(io.open(path), path .. " is read relative to the project's root")
local text = file:read("a")
file:close()

local described = assert(load(text, "@" .. path, "t", setmetatable({}, { __index = _G })))()

local problems = {}
local function problem(...) problems[#problems + 1] = table.concat({ ... }) end

-- Fields that are no functions: declared by @field in the class `ocean`.
local fields = {}
for name in text:match("%-%-%-@class ocean\n(.-)ocean = {}"):gmatch("@field ([%w_]+)") do fields[name] = true end

local function compare(name, live, types)
  for key, value in pairs(live) do
    if type(value) == "function" then
      if type(types[key]) ~= "function" then problem(name, ".", key, " is not described") end
    elseif type(value) == "table" and type(types[key]) == "table" and key ~= "config" then
      compare(name .. "." .. key, value, types[key])
    elseif types[key] == nil and not (name == "ocean" and fields[key]) then
      problem(name, ".", key, " is not described")
    end
  end
  for key in pairs(types) do
    if live[key] == nil then problem(name, ".", key, " is described but does not exist") end
  end
end
compare("ocean", ocean, described)
for key in pairs(fields) do
  if key ~= "event" and ocean[key] == nil then problem("ocean.", key, " is described but does not exist") end
end

local function methods(class, live)
  local seen = {}
  for name in text:gmatch("function " .. class .. ":([%w_]+)") do
    seen[name] = true
    if type(live[name]) ~= "function" then problem(class, ":", name, " is described but does not exist") end
  end
  return seen
end

local function both(class, live)
  local seen = methods(class, live)
  for name, value in pairs(live) do
    if type(value) == "function" and not name:find("^__") and not seen[name] then
      problem(class, ":", name, " is not described")
    end
  end
end
local client = ocean.http.client { base_url = "http://127.0.0.1:1" }
both("Client", getmetatable(client).__index)
both("Stream", getmetatable(ocean.paginate.page(client, "/")).__index)
methods("Task", ocean.spawn(function() end))

-- Each function: a sentence, and an example in the comment above it.
local comment = ""
for line in text:gmatch("([^\n]*)\n") do
  local name = line:match("^function ([%w_.:]+)")
  if name then
    if not comment:find("^%-%-%-[^%s@]") then problem(name, " has no description") end
    if not comment:find("\n%-%-%-    ") then problem(name, " has no example") end
  end
  comment = line:find("^%-%-%-") and comment .. line .. "\n" or ""
end

assert(#problems == 0, table.concat(problems, "\n"))
