-- Calls one resync handler with its kind and hands over what it gives back: a list is one batch, a function or a stream
-- is called for batches until it gives nil, nothing means that the handler used ocean.yield.
local ocean, I = ...

return function(handler, kind)
  local result = handler(kind)
  if result == nil then return end
  if not I.callable(result) then return I.returned(result) end
  while true do
    local batch = result()
    if batch == nil then return end
    ocean.yield(batch)
  end
end
