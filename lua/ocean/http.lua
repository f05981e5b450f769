-- ocean.http: clients of third-party APIs.
--
-- A request is repeated as its retry policy says; what remains is judged once: a transport failure raises, a status
-- of 400 and above raises unless it is ignored or `raise = false`. Whatever is not ignored taints the running resource,
-- also when the script catches the error: nothing is deleted on the strength of a listing that failed.
local ocean, I = ...
local check = I.check

local http = {}

local CLIENT_OPTIONS = {
  base_url = "string", headers = "map", auth = "table", timeout = "number", connect_timeout = "number",
  total_timeout = "number", retry = "table|false", concurrency = "integer", verify = "boolean",
  follow_redirects = "boolean", ignore_status = "list", proxy = "string", ca_file = "string", max_size = "number",
  any_host = "boolean",
}
local CALL_OPTIONS = {
  params = "map", json = "any", form = "map", body = "string", headers = "map", retryable = "boolean",
  timeout = "number", connect_timeout = "number", total_timeout = "number", ignore_status = "list",
  follow_redirects = "boolean", raise = "boolean", max_size = "number",
}
local REQUEST_OPTIONS = { method = "string", url = "string" }
for name, kind in pairs(CALL_OPTIONS) do REQUEST_OPTIONS[name] = kind end
local RETRY_OPTIONS = {
  attempts = "integer", base = "number", max = "number", jitter = "number", respect_headers = "boolean",
  methods = "list", statuses = "list", add_statuses = "list", headers = "list", ignore_header_statuses = "list",
  on_retry = "function",
}
local REASONS = {
  [400] = "Bad Request", [401] = "Unauthorized", [403] = "Forbidden", [404] = "Not Found", [405] = "Method Not Allowed",
  [408] = "Request Timeout", [409] = "Conflict", [410] = "Gone", [413] = "Content Too Large",
  [422] = "Unprocessable Content", [429] = "Too Many Requests", [500] = "Internal Server Error",
  [501] = "Not Implemented", [502] = "Bad Gateway", [503] = "Service Unavailable", [504] = "Gateway Timeout",
}
local HINTS = {
  [401] = "; check the credentials", [403] = "; check what these credentials may read",
}

local Client = { __name = "ocean.http.client" }
Client.__index = Client

-- URLs and bodies -------------------------------------------------------------------------------------------

local Csv = { __name = "ocean.http.csv" }

-- A list that becomes one parameter with commas instead of repeated ones.
function http.csv(list)
  check.argument("ocean.http.csv", "the argument", list, "list")
  local out = {}
  for i, v in ipairs(list) do out[i] = tostring(v) end
  return setmetatable({ text = table.concat(out, ",") }, Csv)
end

local function scalar(fn, name, v)
  local t = type(v)
  if t == "string" then return v end
  if t == "number" then
    if math.type(v) == "float" and v == math.floor(v) and math.abs(v) < 2^53 then return ("%d"):format(v) end
    return tostring(v)
  end
  if t == "boolean" then return tostring(v) end
  if ocean.json.type(v) == "number" then return tostring(v) end
  I.misuse(("%s: parameter '%s' must be text, a number, a boolean or a list of these, got %s"):format(fn, name,
    ocean.json.type(v) or t))
end

-- name=value&... in the order of the names; a list repeats its name.
local function encode_params(fn, params)
  local names, out = {}, {}
  for name in pairs(params) do
    if type(name) ~= "string" then I.misuse(fn .. ": names of parameters must be text") end
    names[#names + 1] = name
  end
  table.sort(names)
  for _, name in ipairs(names) do
    local value, key = params[name], I.url_encode(name)
    if getmetatable(value) == Csv then
      out[#out + 1] = key .. "=" .. I.url_encode(value.text)
    elseif type(value) == "table" or ocean.json.type(value) == "array" then
      for _, v in ipairs(value) do out[#out + 1] = key .. "=" .. I.url_encode(scalar(fn, name, v)) end
    elseif value ~= nil and value ~= ocean.null then
      out[#out + 1] = key .. "=" .. I.url_encode(scalar(fn, name, value))
    end
  end
  return table.concat(out, "&")
end

local function absolute(client, fn, url)
  if url:find("^%a[%w+.-]*://") then return url end
  local base = client.options.base_url
  if not base then
    I.misuse(("%s: '%s' is relative and the client has no base_url; is the setting it comes from set?"):format(fn, url))
  end
  if url == "" then return base end
  if url:sub(1, 1) == "?" then return base .. url end
  return (base:gsub("/+$", "")) .. "/" .. (url:gsub("^/+", ""))
end

local function with_params(fn, url, params)
  local query = params and encode_params(fn, params) or ""
  if query == "" then return url end
  local plain, fragment = url:match("^([^#]*)(.*)$")
  return plain .. (plain:find("?", 1, true) and "&" or "?") .. query .. fragment
end

local function body_of(fn, opts)
  local given = (opts.json ~= nil and 1 or 0) + (opts.form ~= nil and 1 or 0) + (opts.body ~= nil and 1 or 0)
  if given > 1 then I.misuse(fn .. ": only one of the options 'json', 'form' and 'body' can be given") end
  if opts.json ~= nil then return ocean.json.encode(opts.json), "application/json" end
  if opts.form ~= nil then return encode_params(fn, opts.form), "application/x-www-form-urlencoded" end
  return opts.body
end

-- The URL as it may be shown: a query may hold a token, and so may what stands before the host.
local function shown(url) return (url:gsub("[?#].*$", ""):gsub("^(%a+://)[^/@]*@", "%1")) end
I.shown = shown

-- Headers ---------------------------------------------------------------------------------------------------

local function add_headers(fn, into, map)
  if not map then return end
  for name, value in pairs(map) do
    if value ~= ocean.null then into[tostring(name):lower()] = scalar(fn, name, value) end
  end
end

-- Client headers and credentials go to the host of base_url only: a link in an answer must not carry them elsewhere.
local function headers_of(client, fn, req)
  local map = { ["user-agent"] = "ocean-run/" .. ocean.version }
  local trusted = not client.host or client.options.any_host or I.url_host(req.url) == client.host
  if trusted then add_headers(fn, map, client.options.headers) end
  if req.content_type then map["content-type"] = req.content_type end
  if trusted and client.options.auth then add_headers(fn, map, client.options.auth.apply()) end
  add_headers(fn, map, req.headers)
  local names, list = {}, {}
  for name in pairs(map) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do
    list[#list + 1] = name
    list[#list + 1] = map[name]
  end
  return list
end

-- Sending ---------------------------------------------------------------------------------------------------

local function raise_status(res, retryable)
  local excerpt = I.excerpt(res)
  local err = ocean.error("http", ("%s %s answered %d%s%s%s"):format(res.method, shown(res.url), res.status,
    REASONS[res.status] and " " .. REASONS[res.status] or "", HINTS[res.status] or "",
    excerpt ~= "" and ": " .. excerpt or ""),
    { status = res.status, url = res.url, retryable = retryable or false, response = res })
  return err
end

-- Sends with repeats. Returns the last answer, or nil and the last error.
local function send(client, fn, req, opts)
  local options, limits = client.options, {}
  for _, name in ipairs { "timeout", "connect_timeout", "total_timeout", "max_size", "follow_redirects" } do
    limits[name] = opts[name]
    if limits[name] == nil then limits[name] = options[name] end
  end
  local n = 0
  while true do
    local res, err = I.http_send(client.pool, req.method, req.url, headers_of(client, fn, req), req.body, limits,
      fn)
    local wait
    if client.policy and opts.retryable ~= false then
      wait = I.retry_wait(client.policy, req.method, opts.retryable == true, n + 1, res, err and err.kind)
    end
    if not wait then return res, err end
    n = n + 1
    I.warn(("Request %s %s failed with %s, retrying in %.3g seconds."):format(req.method, shown(req.url),
      res and "status code: " .. res.status or "a " .. err.kind .. " error (" .. err.message .. ")", wait))
    if client.on_retry then req = client.on_retry(req, res, n) or req end
    res = nil
    ocean.sleep(wait)
  end
end

local function judge(client, fn, req, opts, res, err)
  if not res then
    if err.message:find(req.method .. " ", 1, true) ~= 1 then
      err.message = ("%s %s: %s"):format(req.method, shown(req.url), err.message)
    end
    err.url, err.where = req.url, I.where()
    err.retryable = err.kind == "transport" or err.kind == "timeout"
    if err.kind ~= "cancelled" then I.taint(err.message) end
    error(err, 0)
  end
  if res.status < 400 then
    if res.status >= 200 and res.status < 300 then I.evidence("2xx") end
    return res, false
  end
  if client.ignored[res.status] or check.integers(fn, "ignore_status", opts.ignore_status)[res.status] then
    I.evidence("ignored")
    return res, true
  end
  local failure = raise_status(res, client.policy and I.retryable_status(client.policy, res.status))
  I.taint(failure.message)
  if opts.raise ~= false then error(failure, 0) end
  return res, false
end

-- The one way of every request: returns the response, and whether its status is one of those to ignore.
local function perform(client, fn, method, url, opts)
  if getmetatable(client) ~= Client then I.misuse(fn .. ": call it with a colon, on a client of ocean.http.client") end
  check.argument(fn, "the URL", url, "string")
  local body, content_type = body_of(fn, opts)
  local req = {
    method = method:upper(), url = with_params(fn, absolute(client, fn, url), opts.params), body = body,
    content_type = content_type, headers = opts.headers,
  }
  local ok, why = I.url_host(req.url)
  if not ok then I.misuse(("%s: %s"):format(fn, why)) end
  local res, err = send(client, fn, req, opts)
  return judge(client, fn, req, opts, res, err)
end
I.http_perform = perform
I.http_call_options = CALL_OPTIONS
I.is_client = function(v) return getmetatable(v) == Client end

-- The client ------------------------------------------------------------------------------------------------

for _, method in ipairs { "get", "post", "put", "patch", "delete" } do
  local fn = "client:" .. method
  Client[method] = function(self, url, opts)
    return (perform(self, fn, method, url, check.options(fn, opts, CALL_OPTIONS)))
  end
end

function Client:request(opts)
  check.options("client:request", check.argument("client:request", "the argument", opts, "table"), REQUEST_OPTIONS)
  return (perform(self, "client:request", opts.method or "GET", opts.url, opts))
end

-- client:json(method, url [, opts]) -> value, res. nil, res for an ignored status and for an empty body.
function Client:json(method, url, opts)
  check.argument("client:json", "the method", method, "string")
  local res, ignored = perform(self, "client:json", method, url, check.options("client:json", opts, CALL_OPTIONS))
  if ignored or res.status >= 400 then return nil, res end
  return I.take_json(res), res
end

-- res:raise(): raises when the status is 400 or more; returns the response otherwise.
function I.response_methods.raise(res)
  if res.status >= 400 then error(raise_status(res), 0) end
  return res
end

local function copy_list(list)
  if not list then return nil end
  local out = {}
  for i, v in ipairs(list) do out[i] = v end
  return out
end

local function policy_of(fn, retry)
  if retry == false then return nil end
  local options, copy = check.options(fn .. ": retry", retry, RETRY_OPTIONS), {}
  check.range(fn, "retry.attempts", options.attempts, 0, 1000)
  check.range(fn, "retry.base", options.base, 0, 3600)
  check.range(fn, "retry.max", options.max, 0, 86400)
  check.range(fn, "retry.jitter", options.jitter, 0, 0.5)
  for name, value in pairs(options) do
    if RETRY_OPTIONS[name] == "list" then
      copy[name] = copy_list(value)
    elseif name ~= "on_retry" then
      copy[name] = value
    end
  end
  for _, name in ipairs { "statuses", "add_statuses", "ignore_header_statuses" } do
    check.integers(fn, "retry." .. name, copy[name])
  end
  for _, name in ipairs { "methods", "headers" } do
    for i, v in ipairs(copy[name] or {}) do
      check.argument(fn, ("retry.%s[%d]"):format(name, i), v, "string")
      if name == "methods" then copy[name][i] = v:upper() end
    end
  end
  return I.retry_policy(copy)
end

function http.client(opts)
  local fn = "ocean.http.client"
  local given = check.options(fn, opts, CLIENT_OPTIONS)
  local options = {}
  for name, value in pairs(given) do options[name] = value end
  if options.auth and not I.is_auth(options.auth) then
    I.misuse(fn .. ": option 'auth' must be a value of ocean.auth, for example ocean.auth.bearer(token)")
  end
  check.range(fn, "timeout", options.timeout, 0.001, 86400)
  check.range(fn, "concurrency", options.concurrency, 1, 10000)
  options.timeout = options.timeout or I.client_timeout()
  local host
  if options.base_url then
    local why
    host, why = I.url_host(options.base_url)
    if not host then I.misuse(("%s: base_url: %s"):format(fn, why)) end
  end
  return setmetatable({
    options = options, host = host, ignored = check.integers(fn, "ignore_status", options.ignore_status),
    policy = policy_of(fn, options.retry), on_retry = options.retry and options.retry.on_retry,
    pool = I.http_pool(options.verify, options.concurrency, options.proxy, options.ca_file),
  }, Client)
end

return http
