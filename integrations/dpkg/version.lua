-- Comparison of Debian versions: [epoch:]upstream[-revision]. Text and numbers alternate; in text a tilde sorts before
-- everything, even the end, and letters before other characters; numbers compare by value.

local version = {}

local function parts(v)
  local epoch, rest = v:match("^(%d+):(.*)$")
  rest = rest or v
  local upstream, revision = rest:match("^(.*)%-([^-]*)$")
  return tonumber(epoch or 0), upstream or rest, revision or "0"
end

-- Rank of the character at i of a run of text; the end ranks 0.
local function rank(s, i)
  local c = s:sub(i, i)
  if c == "" then return 0 end
  if c == "~" then return -1 end
  return c:find("%a") and c:byte() or c:byte() + 256
end

local function compare_number(a, b)
  a, b = a:gsub("^0+", ""), b:gsub("^0+", "")
  if #a ~= #b then return #a < #b and -1 or 1 end
  if a ~= b then return a < b and -1 or 1 end
  return 0
end

local function compare_part(a, b)
  while a ~= "" or b ~= "" do
    local text_a, number_a, rest_a = a:match("^(%D*)(%d*)(.*)$")
    local text_b, number_b, rest_b = b:match("^(%D*)(%d*)(.*)$")
    for i = 1, math.max(#text_a, #text_b) do
      local x, y = rank(text_a, i), rank(text_b, i)
      if x ~= y then return x < y and -1 or 1 end
    end
    local order = compare_number(number_a, number_b)
    if order ~= 0 then return order end
    a, b = rest_a, rest_b
  end
  return 0
end

---Negative, 0 or positive, as a is older than, the same as or newer than b.
---@param a string
---@param b string
---@return integer
function version.compare(a, b)
  local epoch_a, upstream_a, revision_a = parts(a)
  local epoch_b, upstream_b, revision_b = parts(b)
  if epoch_a ~= epoch_b then return epoch_a < epoch_b and -1 or 1 end
  local order = compare_part(upstream_a, upstream_b)
  return order ~= 0 and order or compare_part(revision_a, revision_b)
end

return version
