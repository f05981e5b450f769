-- Reader of dpkg's status file: one pass over its lines, one table per stanza, nothing kept behind.
--
-- Only the fields the integration uses are kept; long ones (Conffiles) are passed over. What is no status file, or one
-- that was cut off, is an error naming file and line: half an inventory must not look like a whole one.

local status = {}

local WANTED = {
  package = true, status = true, version = true, architecture = true, section = true, maintainer = true,
  homepage = true, description = true, depends = true, provides = true, source = true,
  ["pre-depends"] = true, ["installed-size"] = true,
}

-- dpkg's states of a package that is unpacked and configured. The two about triggers last only while dpkg runs.
local CONFIGURED = { installed = true, ["triggers-awaited"] = true, ["triggers-pending"] = true }

-- Control files are UTF-8 by policy; packages older than that rule may hold Latin-1.
local function utf8_text(s)
  if utf8.len(s) then return s end
  return (s:gsub("[\128-\255]", function(c) return utf8.char(c:byte()) end))
end

local function fail(path, line, text)
  error(("%s:%d: %s"):format(path, line, text), 0)
end

local function check_stanza(path, line, stanza)
  for _, field in ipairs { "package", "status" } do
    if not stanza[field] then fail(path, line, ("the stanza that starts here has no field %q"):format(field)) end
  end
  stanza.installed = CONFIGURED[stanza.status:match("(%S+)%s*$")] or false
  if not stanza.installed then return stanza end
  for _, field in ipairs { "version", "architecture" } do
    if not stanza[field] then
      fail(path, line, ("package %q is installed but has no field %q"):format(stanza.package, field))
    end
  end
  return stanza
end

---An open status file. dpkg replaces the file instead of writing into it, so every pass over one handle sees the same
---state, even while packages are being installed.
---@param path string
---@return file*
function status.open(path)
  local file, why = io.open(path, "rb")
  if not file then
    error(("cannot read dpkg's database: %s; set databasePath (OCEAN__INTEGRATION__CONFIG__DATABASE_PATH) to the "
      .. "status file, usually /var/lib/dpkg/status"):format(why), 0)
  end
  return file
end

---Iterates over the installed packages: tables of field (lower case) -> text, continuation lines included.
---@param file file*
---@param path string for messages
---@return fun(): table?
function status.installed(file, path)
  assert(file:seek("set", 0))
  local next_line = file:lines("L")
  local number, seen = 0, 0

  -- One stanza, installed or not; nil at the end of the file.
  local function read()
    local stanza, first, field
    while true do
      local line = next_line()
      if not line then
        if stanza then fail(path, first, "the file ends inside the stanza that starts here: it is incomplete") end
        if seen == 0 then fail(path, number, "the file holds no package: it is not dpkg's status file") end
        return nil
      end
      number = number + 1
      if line:find("^%s*$") then
        if stanza then
          seen = seen + 1
          return check_stanza(path, first, stanza)
        end
      elseif line:find("^[ \t]") then
        if not stanza then fail(path, number, "a continuation line outside of a stanza: this is not a status file") end
        if field then
          stanza[field] = stanza[field] .. "\n" .. utf8_text(line:sub(2):gsub("%s+$", ""))
        end
      else
        local name, value = line:match("^([^%s:]+):[ \t]*(.-)%s*$")
        if not name then fail(path, number, "neither a field nor a continuation line: this is not a status file") end
        if not stanza then stanza, first = {}, number end
        name = name:lower()
        field = WANTED[name] and name or nil
        if field then stanza[field] = utf8_text(value) end
      end
    end
  end

  return function()
    local stanza
    repeat stanza = read() until not stanza or stanza.installed
    return stanza
  end
end

---Name and version of the source package a stanza was built from.
---@return string name
---@return string version
function status.source(stanza)
  local name, version = (stanza.source or ""):match("^(%S+)%s*%(?([^%s)]*)")
  if not name then return stanza.package, stanza.version end
  return name, version ~= "" and version or stanza.version
end

---Synopsis and whole text of a description: paragraphs apart, without dpkg's dots for empty lines.
---@return string? synopsis
---@return string? text
function status.description(stanza)
  local text = stanza.description
  if not text then return nil, nil end
  local synopsis, long = text:match("^([^\n]*)\n(.*)$")
  if not synopsis then return text, text end
  return synopsis, synopsis .. "\n\n" .. ("\n" .. long):gsub("\n%.%f[\n\0]", "\n"):sub(2)
end

return status
