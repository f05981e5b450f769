-- Identifiers for names that may hold anything.
--
-- Port takes letters, digits and a few signs; RabbitMQ takes every text, the empty one too. Each part of a name is
-- escaped by itself (a byte that may not stand becomes `=` and two upper-case hexadecimal digits, as in quoted-printable
-- mail) and the parts are joined by `:`, which never stands unescaped inside a part. So two names never share an
-- identifier, and a plain name is its own: queue `orders` of vhost `/` is `/:orders`.

local sha256 = require "sha256"

local LONGEST = 1000 -- Port's limit

local names = {}

local function escape(part)
  return (part:gsub("[^A-Za-z0-9@_.+/'-]", function(c) return ("=%02X"):format(c:byte()) end))
end

---Identifier of a thing named by one or more parts.
---@param ... string
---@return string
function names.identifier(...)
  local parts = { ... }
  for i, part in ipairs(parts) do parts[i] = escape(part) end
  local id = table.concat(parts, ":")
  -- What Port refuses although every sign is allowed. A lone `=`, and `=` before lower case, never come out of `escape`.
  if id == "" then return "=" end
  if id == "." or id == ".." then return (id:gsub("%.", "=2E")) end
  if #id > LONGEST then return id:sub(1, 900):gsub("=.?$", "") .. "=h=" .. sha256(id) end
  return id
end

return names
