-- ocean.auth: what a client puts into its requests to prove who it is. Each value has apply(), which is called for
-- every request, repeats included, and returns a table of headers; it may wait (for a token that must be fetched).
local _, I = ...
local check = I.check

local Auth = { __name = "ocean.auth", __tostring = function() return "ocean.auth (secret)" end }
Auth.__index = Auth

local function make(apply) return setmetatable({ apply = apply }, Auth) end

-- A secret given as text, or a function that returns it; masked in logs as soon as it is known.
local function secret(fn, name, value)
  check.argument(fn, name, value, "string|function", "; is the setting it comes from set?")
  local last
  local function get()
    local text = value
    if type(value) == "function" then text = value() end
    if type(text) ~= "string" or text == "" then
      I.misuse(("%s: %s is %s; is the setting it comes from set?"):format(fn, name,
        text == "" and "empty" or "a " .. type(text)))
    end
    if text ~= last then
      I.secret(text)
      last = text
    end
    return text
  end
  if type(value) == "string" then get() end
  return get
end

local auth = {}

-- Authorization: Bearer TOKEN. token: a string, or a function called per request.
function auth.bearer(token)
  local get = secret("ocean.auth.bearer", "the token", token)
  return make(function() return { authorization = "Bearer " .. get() } end)
end

-- Authorization: Basic ... An empty password is allowed, an empty user as well (some take a token as password).
function auth.basic(user, password)
  check.argument("ocean.auth.basic", "the user", user, "string", "; is the setting it comes from set?")
  check.argument("ocean.auth.basic", "the password", password, "string", "; is the setting it comes from set?")
  local value = "Basic " .. I.base64(user .. ":" .. password)
  if password ~= "" then I.secret(password) end
  I.secret(value)
  return make(function() return { authorization = value } end)
end

-- One header with a secret value: a string, or a function called per request.
function auth.header(name, value)
  check.argument("ocean.auth.header", "the header's name", name, "string")
  local get = secret("ocean.auth.header", "the value", value)
  return make(function() return { [name:lower()] = get() } end)
end

-- Several such headers.
function auth.headers(map)
  check.argument("ocean.auth.headers", "the argument", map, "map")
  local list = {}
  for name, value in pairs(map) do
    list[name:lower()] = secret("ocean.auth.headers", "the value of " .. name, value)
  end
  return make(function()
    local out = {}
    for name, get in pairs(list) do out[name] = get() end
    return out
  end)
end

I.is_auth = function(v) return type(v) == "table" and type(v.apply) == "function" end

return auth
