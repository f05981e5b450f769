-- What is installed, and what depends on what. The index is built in a first pass and holds names only, so it stays
-- small; the items are made in a second pass over the same file.

local status = require "status"
local version = require "version"

local packages = {}

local function add(map, name, entry)
  local list = map[name]
  if list then list[#list + 1] = entry else map[name] = { entry } end
end

-- Iterates over a relationship field's pieces between separators: name and, if stated, architecture of each.
local function each(field, separator)
  local next_piece = (field or ""):gmatch("[^" .. separator .. "]+")
  return function()
    for piece in next_piece do
      local name, arch = piece:match("^%s*([%w+.-]+):?([%w-]*)")
      if name then return name, arch ~= "" and arch or nil end
    end
  end
end

---Index of the installed packages.
---@param file file*
---@param path string
function packages.index(file, path)
  local real, virtual, native = {}, {}, nil
  for stanza in status.installed(file, path) do
    local entry = { name = stanza.package, arch = stanza.architecture }
    add(real, entry.name, entry)
    for name in each(stanza.provides, ",") do add(virtual, name, entry) end
    -- dpkg's own architecture is the native one.
    if stanza.package == "dpkg" then native = stanza.architecture end
  end
  return { real = real, virtual = virtual, native = native }
end

---Identifier of a package: its name, with the architecture when that is foreign to the machine.
function packages.identifier(index, name, arch)
  if arch == "all" or arch == index.native then return name end
  -- Without dpkg in the database nothing tells the native architecture; a name that stands alone needs no suffix.
  if not index.native and #(index.real[name] or {}) < 2 then return name end
  return name .. ":" .. arch
end

-- Of several candidates the one of the architecture that was asked for, else of all, else the first.
local function choose(list, arch)
  local neutral
  for _, entry in ipairs(list or {}) do
    if entry.arch == arch then return entry end
    if entry.arch == "all" then neutral = neutral or entry end
  end
  return neutral or (list and list[1])
end

-- The installed package that fulfils one name, itself or by Provides.
local function resolve(index, name, arch, from)
  if arch == "any" or not arch then arch = from end
  if arch == "all" then arch = index.native end
  return choose(index.real[name], arch) or choose(index.virtual[name], arch)
end

---Identifiers of the installed packages a package depends on, each once, in the order of the fields. Of alternatives
---it is the first that is installed.
function packages.depends(index, stanza)
  local found, seen = {}, {}
  local own = packages.identifier(index, stanza.package, stanza.architecture)
  for _, field in ipairs { "pre-depends", "depends" } do
    for clause in (stanza[field] or ""):gmatch("[^,]+") do
      for name, arch in each(clause, "|") do
        local entry = resolve(index, name, arch, stanza.architecture)
        if entry then
          local id = packages.identifier(index, entry.name, entry.arch)
          if id ~= own and not seen[id] then
            seen[id] = true
            found[#found + 1] = id
          end
          break
        end
      end
    end
  end
  return found
end

-- Packages name all sorts of things as their home; only what is a URL goes into a field of that format.
local function url(text)
  return text and text:find("^%a[%w+.-]*://%S+$") and text or nil
end

---One raw item of kind package. `array` marks a list as such, which matters when it is empty.
function packages.item(index, stanza, array)
  local source, source_version = status.source(stanza)
  local summary, description = status.description(stanza)
  return {
    id = packages.identifier(index, stanza.package, stanza.architecture),
    name = stanza.package,
    version = stanza.version,
    architecture = stanza.architecture,
    section = stanza.section,
    maintainer = stanza.maintainer,
    installedSizeKiB = math.tointeger(tonumber(stanza["installed-size"])),
    homepage = url(stanza.homepage),
    summary = summary,
    description = description,
    source = source,
    sourceVersion = source_version,
    depends = array(packages.depends(index, stanza)),
  }
end

---Raw items of kind source, ordered by name. Where packages of several versions of a source are installed, the newest
---counts.
function packages.sources(file, path)
  local by_name, list = {}, {}
  for stanza in status.installed(file, path) do
    local name, source_version = status.source(stanza)
    local item = by_name[name]
    if not item then
      item = { name = name, version = source_version, maintainer = stanza.maintainer, binaries = 0 }
      by_name[name] = item
      list[#list + 1] = item
    elseif version.compare(source_version, item.version) > 0 then
      item.version = source_version
      item.maintainer = stanza.maintainer or item.maintainer
    end
    item.binaries = item.binaries + 1
  end
  table.sort(list, function(a, b) return a.name < b.name end)
  return list
end

return packages
