-- ocean.paginate: streams of item lists, page by page.
--
-- Every page asked for must be answered with a list, else the listing is not complete and nothing may be deleted
-- because of it: an `items` path that leads nowhere raises (items_optional allows absence), an ignored status ends the
-- stream and taints unless it was the first page, and so does stopping at max_items. A listing without a total or a
-- last page goes on until an empty page; a page identical to the one before means that the server ignores the page
-- parameter. A total that falls while pages are read has moved items across the border of two pages, unseen, and one
-- that is never reached says that some did not come: both taint.
local ocean, I = ...
local check = I.check

local paginate = {}

local COMMON = {
  params = "map", headers = "map", items = "string|function", items_optional = "boolean", ignore_status = "list",
  max_items = "integer", timeout = "number", retryable = "boolean",
}

local function options(fn, opts, own)
  local allowed = {}
  for name, kind in pairs(COMMON) do allowed[name] = kind end
  for name, kind in pairs(own) do allowed[name] = kind end
  return check.options(fn, opts, allowed)
end

local function copy(map)
  local out = {}
  for name, value in pairs(map or {}) do out[name] = value end
  return out
end

-- The value at a dotted path; nil where it ends.
local function at(value, path)
  for name in path:gmatch("[^.]+") do
    local t = ocean.json.type(value)
    if t == "object" then
      value = value[name]
    elseif t == "array" and tonumber(name) then
      value = value[tonumber(name) + 1]
    else
      return nil
    end
  end
  return value
end

-- A dotted path or a function of (value, res).
local function look(what, value, res)
  if what == nil then return nil end
  local v
  if type(what) == "function" then v = what(value, res) else v = at(value, what) end
  if v == ocean.null then return nil end
  return v
end

local function place(res) return ("%s %s"):format(res.method, I.shown(res.url)) end

-- An incomplete listing: taints, and raises a `parse` error.
local function broken(message)
  I.taint(message)
  error(ocean.error("parse", message), 0)
end

local function items_of(fn, o, value, res)
  local items = value
  if o.items ~= nil then items = look(o.items, value, res) end
  if ocean.json.type(items) == "array" or (type(items) == "table" and next(items) == nil) then return items end
  if items == nil and o.items_optional then return ocean.array {} end
  local where = "in the answer itself (name its place with the option 'items')"
  if type(o.items) == "string" then where = ("at '%s'"):format(o.items) end
  if type(o.items) == "function" then where = "in what the items function returned" end
  broken(("%s: %s: a list was expected %s, found %s"):format(fn, place(res), where,
    items == nil and "nothing" or ocean.json.type(items) or type(items)))
end

-- One page. Returns the items, the whole value and the response; nil when an ignored status ends the stream.
local function fetch(fn, state, method, url, opts)
  local o = state.o
  opts.headers, opts.ignore_status, opts.timeout, opts.retryable = o.headers, o.ignore_status, o.timeout, o.retryable
  local res, ignored = I.http_perform(state.client, fn, method, url, opts)
  if ignored then
    if state.pages > 0 then
      local text = "%s: page %d of %s answered %d, an ignored status, after other pages: the listing is not complete"
      I.taint(text:format(fn, state.pages + 1, place(res), res.status))
    end
    return nil
  end
  local value = I.take_json(res)
  local items = items_of(fn, o, value, res)
  state.pages = state.pages + 1
  state.count = state.count + #items
  return items, value, res
end

local function same_page(fn, state, items, res, hint)
  local print = I.fingerprint(items)
  if print and print == state.print and #items > 0 then
    broken(("%s: page %d of %s is identical to the one before: %s"):format(fn, state.pages, place(res), hint))
  end
  state.print = print
end

-- True when max_items is reached; what remains is not known, so nothing may be deleted.
local function enough(fn, state)
  local max = state.o.max_items
  if not max or state.count < max then return false end
  local text = "%s: stopped after %d items (max_items = %d); the listing is not complete"
  local message = text:format(fn, state.count, max)
  I.warn(message)
  I.taint(message)
  return true
end

-- Holds what came against the total the server names. `ended`: no more pages will be asked for.
local function against_total(fn, state, total, ended)
  if not total or state.warned then return end
  local text
  if state.total and total < state.total then
    text = ("the total fell from %d to %d while pages were read, so items may have been skipped"):format(state.total, total)
  elseif ended and state.count < total then
    text = ("only %d of %d items came"):format(state.count, total)
  end
  state.total = math.max(state.total or 0, total)
  if not text then return end
  state.warned = true
  local message = ("%s: %s: nothing is deleted for it in this resync"):format(fn, text)
  I.warn(message)
  I.taint(message)
end

-- next_page(state) fetches a page and returns its items, and sets state.over when it was the last.
local function pages(fn, client, url, o, next_page)
  if not I.is_client(client) then
    I.misuse(("%s: the first argument must be a client of ocean.http.client, got %s"):format(fn, type(client)))
  end
  check.argument(fn, "the URL", url, "string")
  local state = { client = client, o = o, pages = 0, count = 0 }
  return I.stream(function()
    if state.over then return nil end
    local items = next_page(state)
    if items == nil then return nil end
    if not state.over and enough(fn, state) then state.over = true end
    return items
  end)
end

-- Pages by number: ?page=1&per_page=100 ...
function paginate.page(client, url, opts)
  local fn = "ocean.paginate.page"
  local o = options(fn, opts, {
    page_param = "string", size_param = "string|false", size = "integer", start = "integer",
    total = "string|function", last_page = "string|function",
  })
  local page = o.start or 1
  local size_param = o.size_param == nil and "per_page" or o.size_param
  return pages(fn, client, url, o, function(state)
    local params = copy(o.params)
    params[o.page_param or "page"] = page
    if size_param and params[size_param] == nil then params[size_param] = o.size or 100 end
    local items, value, res = fetch(fn, state, "GET", url, { params = params })
    if items == nil or #items == 0 then
      state.over = true
      against_total(fn, state, items and tonumber(look(o.total, value, res)), true)
      return nil
    end
    local total, last = tonumber(look(o.total, value, res)), tonumber(look(o.last_page, value, res))
    against_total(fn, state, total)
    if total then state.over = state.count >= total end
    if last then state.over = state.over or page >= last end
    if not total and not last then
      same_page(fn, state, items, res, ("does the server know the parameter '%s'?"):format(o.page_param or "page"))
    end
    page = page + 1
    return items
  end)
end

-- Offset and limit: ?offset=0&limit=100 ... The offset grows by what was received, so a server that gives less than
-- was asked for loses nothing.
function paginate.offset(client, url, opts)
  local fn = "ocean.paginate.offset"
  local o = options(fn, opts, {
    offset_param = "string", limit_param = "string|false", size = "integer", start = "integer",
    total = "string|function", more = "string|function", last = "string|function",
  })
  local offset = o.start or 0
  local limit_param = o.limit_param == nil and "limit" or o.limit_param
  return pages(fn, client, url, o, function(state)
    local params = copy(o.params)
    params[o.offset_param or "offset"] = offset
    if limit_param and params[limit_param] == nil then params[limit_param] = o.size or 100 end
    local items, value, res = fetch(fn, state, "GET", url, { params = params })
    if items == nil or #items == 0 then
      state.over = true
      against_total(fn, state, items and tonumber(look(o.total, value, res)), true)
      return nil
    end
    offset = offset + #items
    local total, more, last = tonumber(look(o.total, value, res)), look(o.more, value, res), look(o.last, value, res)
    against_total(fn, state, total)
    if total then state.over = offset - (o.start or 0) >= total end
    if more ~= nil then state.over = state.over or not more end
    if last ~= nil then state.over = state.over or last == true end
    if total == nil and more == nil and last == nil then
      same_page(fn, state, items, res,
        ("does the server know the parameter '%s'?"):format(o.offset_param or "offset"))
    end
    return items
  end)
end

-- A cursor from each answer asks for the next page.
function paginate.cursor(client, url, opts)
  local fn = "ocean.paginate.cursor"
  local o = options(fn, opts, {
    method = "string", param = "string", in_body = "boolean", json = "any", next = "string|function",
    more = "string|function",
  })
  if not o.next then I.misuse(fn .. ": option 'next' is missing: the path of the next cursor, or a function") end
  local param, cursor = o.param or "cursor", nil
  return pages(fn, client, url, o, function(state)
    local call = { params = copy(o.params) }
    if o.in_body or o.json ~= nil then call.json = copy(o.json) end
    if cursor ~= nil then (o.in_body and call.json or call.params)[param] = cursor end
    local items, value, res = fetch(fn, state, o.method or (o.in_body and "POST" or "GET"), url, call)
    if items == nil then
      state.over = true
      return nil
    end
    local following, more = look(o.next, value, res), look(o.more, value, res)
    if following == nil or following == "" or following == false or more == false then
      state.over = true
    elseif following == cursor then
      broken(("%s: page %d of %s gave the cursor it was asked with: %s"):format(fn, state.pages, place(res),
        tostring(following)))
    end
    cursor = following
    if #items == 0 and state.over then return nil end
    return items
  end)
end

-- The Link header of each answer names the next page.
function paginate.link(client, url, opts)
  local fn = "ocean.paginate.link"
  local o = options(fn, opts, { rel = "string" })
  local following, params = url, copy(o.params)
  return pages(fn, client, url, o, function(state)
    local items, _, res = fetch(fn, state, "GET", following, { params = params })
    if items == nil then
      state.over = true
      return nil
    end
    params = nil
    local link = res:link(o.rel or "next")
    if not link then
      state.over = true
    elseif link == following or link == res.url then
      broken(("%s: page %d of %s links to itself as the next one"):format(fn, state.pages, place(res)))
    end
    following = link
    if #items == 0 and state.over then return nil end
    return items
  end)
end

return paginate
