-- What a RabbitMQ broker holds, from its management API: vhosts, users, exchanges, queues, bindings.
--
-- Names in RabbitMQ may hold anything, identifiers in Port may not: every item gets its safe identifier as `__id`, and
-- those of what it points at, before it goes out (names.lua).

local ocean = require "ocean"
local names = require "names"

local PAGE_SIZE = 500 -- the API's own limit

local api = ocean.http.client {
  base_url = ocean.config.host .. "/api",
  auth = ocean.auth.basic(ocean.config.username, ocean.config.password),
}

-- Hands over a list, each item completed by `complete`.
local function hand_over(items, complete)
  for _, item in ipairs(items) do complete(item) end
  ocean.yield(items)
end

ocean.on_resync("vhost", function()
  hand_over(api:json("GET", "/vhosts"), function(vhost)
    vhost.__id = names.identifier(vhost.name)
  end)
end)

ocean.on_resync("user", function()
  local vhosts = {} -- user -> vhosts the user has permissions in
  for _, permission in ipairs(api:json("GET", "/permissions")) do
    local list = vhosts[permission.user] or ocean.array {}
    vhosts[permission.user] = list
    list[#list + 1] = names.identifier(permission.vhost)
  end
  hand_over(api:json("GET", "/users"), function(user)
    local list = vhosts[user.name] or ocean.array {}
    table.sort(list) -- the broker gives them in no order
    user.__id = names.identifier(user.name)
    user.__vhosts = list
    user.password_hash = nil -- raw items are shown as examples; this is nobody's business
  end)
end)

-- Queues and exchanges are the lists that grow; the API gives them in pages.
for kind, path in pairs { queue = "/queues", exchange = "/exchanges" } do
  ocean.on_resync(kind, function()
    local pages = ocean.paginate.page(api, path, {
      size_param = "page_size", size = PAGE_SIZE, items = "items", last_page = "page_count",
    })
    for page in pages do
      hand_over(page, function(item)
        item.__vhost_id = names.identifier(item.vhost)
        item.__id = names.identifier(item.vhost, item.name)
      end)
    end
  end)
end

ocean.on_resync("binding", function()
  hand_over(api:json("GET", "/bindings"), function(binding)
    -- What makes a binding: its ends, the routing key, and the arguments where there are any.
    local arguments = ocean.json.encode(binding.arguments)
    binding.__id = names.identifier(binding.vhost, binding.source, binding.destination_type, binding.destination,
      binding.routing_key, arguments ~= "{}" and arguments or nil)
    binding.__vhost_id = names.identifier(binding.vhost)
    binding.__source_id = names.identifier(binding.vhost, binding.source)
    binding.__destination_id = names.identifier(binding.vhost, binding.destination)
  end)
end)
