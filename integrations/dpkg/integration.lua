-- Software inventory of a Debian machine, read from dpkg's status file: no network, no dpkg process.
--
-- Two kinds: `package` (what is installed) and `source` (what it was built from). Items go out in batches, so memory
-- does not grow with the text of the packages; only their names are held, to resolve dependencies.

local ocean = require "ocean"
local status = require "status"
local packages = require "packages"

local BATCH = 500

ocean.on_resync("package", function()
  local path = ocean.config.database_path
  local file <close> = status.open(path)
  local index = packages.index(file, path)
  local batch = {}
  for stanza in status.installed(file, path) do
    batch[#batch + 1] = packages.item(index, stanza, ocean.array)
    if #batch == BATCH then
      ocean.yield(batch)
      batch = {}
    end
  end
  ocean.yield(batch)
end)

ocean.on_resync("source", function()
  local path = ocean.config.database_path
  local file <close> = status.open(path)
  local list = packages.sources(file, path)
  for first = 1, #list, BATCH do
    ocean.yield(table.move(list, first, math.min(first + BATCH - 1, #list), 1, {}))
  end
end)
