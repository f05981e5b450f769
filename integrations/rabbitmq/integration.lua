-- What a RabbitMQ server holds, from its management API: vhosts, users, exchanges, queues and bindings.
--
-- Queues and exchanges are read page by page, the only lists that grow large and that the API serves in pages in every
-- version; a page that vanishes while it is read (the list got shorter) answers 400 and ends the run's deletions, which
-- is right. Names in RabbitMQ may hold any byte, identifiers in a catalog may not: see `encode`.
local ocean = require "ocean"

local config = ocean.config
local api = ocean.http.client {
  base_url = config.url,
  auth = ocean.auth.basic(config.username, config.password),
  verify = config.verify_tls,
}

-- A name as part of an identifier: what is not allowed there, "=" itself and the separator ":" become "=XX", so that
-- different names never share an identifier.
local function encode(name)
  return (name:gsub("[^%w@_.+\\/'-]", function(c) return ("=%02X"):format(c:byte()) end))
end

-- FNV-1a, 64 bits, as 16 hexadecimal digits.
local function hash(text)
  local h = 0xcbf29ce484222325
  for i = 1, #text do h = (h ~ text:byte(i)) * 0x100000001b3 end
  return ("%016x"):format(h)
end

-- Identifiers hold at most 1,000 characters; longer ones keep their beginning and a hash of the whole.
local function identifier(...)
  local parts = { ... }
  for i, part in ipairs(parts) do parts[i] = encode(part) end
  local id = table.concat(parts, ":")
  if #id <= 900 then return id end
  return id:sub(1, 880) .. "=:" .. hash(id)
end

-- The default exchange has no name.
local function exchange_id(vhost, name) return identifier(vhost, name) .. (name == "" and "=default" or "") end

local function pages(path)
  return ocean.paginate.page(api, path, {
    page_param = "page", size_param = "page_size", size = config.page_size or 100,
    items = "items", last_page = "page_count",
  })
end

ocean.on_resync("vhost", function()
  local list = api:get("/api/vhosts"):json()
  for _, vhost in ipairs(list) do vhost.__id = identifier(vhost.name) end
  return list
end)

ocean.on_resync("user", function()
  local permissions = {}
  for _, p in ipairs(api:get("/api/permissions"):json()) do
    permissions[p.user] = permissions[p.user] or ocean.array {}
    table.insert(permissions[p.user], identifier(p.vhost))
  end
  local list = api:get("/api/users"):json()
  for _, user in ipairs(list) do
    user.password_hash = nil -- neither into the catalog nor into the examples
    user.__id = identifier(user.name)
    user.__vhosts = permissions[user.name] or ocean.array {}
    if type(user.tags) == "string" then -- before 3.9: one text with commas
      local tags = ocean.array {}
      for tag in user.tags:gmatch("[^,%s]+") do tags[#tags + 1] = tag end
      user.tags = tags
    end
  end
  return list
end)

ocean.on_resync("exchange", function()
  for page in pages("/api/exchanges") do
    for _, exchange in ipairs(page) do
      exchange.__id = exchange_id(exchange.vhost, exchange.name)
      exchange.__vhost = identifier(exchange.vhost)
    end
    ocean.yield(page)
  end
end)

ocean.on_resync("queue", function()
  for page in pages("/api/queues") do
    for _, queue in ipairs(page) do
      queue.__id = identifier(queue.vhost, queue.name)
      queue.__vhost = identifier(queue.vhost)
    end
    ocean.yield(page)
  end
end)

ocean.on_resync("binding", function()
  local batch = {}
  for _, b in ipairs(api:get("/api/bindings"):json()) do
    local to_queue = b.destination_type == "queue"
    -- Every queue is bound to the default exchange by its name; that says nothing and cannot be removed.
    if b.source ~= "" then
      b.__id = identifier(b.vhost, b.source, b.destination_type, b.destination, b.properties_key)
      b.__vhost = identifier(b.vhost)
      b.__source = exchange_id(b.vhost, b.source)
      if to_queue then
        b.__queue = identifier(b.vhost, b.destination)
      else
        b.__exchange = exchange_id(b.vhost, b.destination)
      end
      batch[#batch + 1] = b
    end
    if #batch == 500 then
      ocean.yield(batch)
      batch = {}
    end
  end
  ocean.yield(ocean.array(batch))
end)
