-- ocean.parallel, ocean.map: functions side by side. ocean.spawn and the waiting itself are C (children.c).
local ocean, I = ...
local check = I.check

function ocean.parallel(list)
  check.argument("ocean.parallel", "the list", list, "table")
  local functions = {}
  for i = 1, #list do
    functions[i] = check.argument("ocean.parallel", ("element %d of the list"):format(i), list[i], "function")
  end
  for key in pairs(list) do
    if functions[key] == nil then
      I.misuse(("ocean.parallel: the list must hold functions at 1 to n, it has the key %s"):format(tostring(key)))
    end
  end
  return I.gather(functions, "ocean.parallel")
end

-- The error of several items as one: it says what the first was, and holds all of them.
local function grouped(failures, count)
  local first = failures[1].error
  local err = ocean.error(type(first) == "table" and first.kind or "error",
    ("ocean.map: %d of %d items failed; item %d: %s"):format(#failures, count, failures[1].index, tostring(first)),
    { errors = failures })
  err.where = I.where()
  return err
end

local ERRORS = { raise = true, collect = true, skip = true }

-- What a failed item leaves behind: a skipped one is not in the results, so nothing may be deleted because of it.
local function skipped(index, err)
  local message = ("ocean.map: item %d is skipped: %s"):format(index, tostring(err))
  I.warn(message)
  I.taint(message)
end

function ocean.map(list, n, fn, opts)
  local name = "ocean.map"
  check.argument(name, "the list", list, "list")
  check.argument(name, "the number of items at a time", n, "integer")
  check.range(name, "the number of items at a time", n, 1, 10000)
  check.argument(name, "the function", fn, "function")
  local errors = check.options(name, opts, { errors = "string" }).errors or "raise"
  if not ERRORS[errors] then
    I.misuse(("%s: option 'errors' must be \"raise\", \"collect\" or \"skip\", got \"%s\""):format(name, errors))
  end
  local count, at, results, failures, failed = #list, 0, {}, {}, {}
  local function worker()
    while at < count do
      at = at + 1
      local i = at
      if errors == "raise" then
        results[i] = fn(list[i], i)
      else
        local ok, value = pcall(fn, list[i], i)
        if ok then
          results[i] = value
        elseif I.cancelled() then
          error(value, 0)
        else
          failed[i] = true
          if errors == "skip" then skipped(i, value) else failures[#failures + 1] = { index = i, error = value } end
        end
      end
    end
  end
  local workers = {}
  for i = 1, math.min(math.tointeger(n), count) do workers[i] = worker end
  I.gather(workers, name)
  if #failures > 0 then
    table.sort(failures, function(a, b) return a.index < b.index end)
    error(grouped(failures, count), 0)
  end
  if next(failed) == nil then return results end
  local kept, k = {}, 0
  for i = 1, count do
    if not failed[i] then
      k = k + 1
      kept[k] = results[i]
    end
  end
  return kept
end
