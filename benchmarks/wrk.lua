-- Sends the requests of a file, one after the other: each is its length, a line break, its bytes.
local requests, position = {}, 0

function init(arguments)
    local file = assert(io.open(arguments[1], "rb"))
    for length in function() return file:read("*n", "*l") end do
        requests[#requests + 1] = file:read(length)
    end
    file:close()
    position = tonumber(arguments[2])
end

function request()
    position = position % #requests + 1
    return requests[position]
end

function done(summary, latency)
    local errors = summary.errors
    io.write(string.format(
        '{"requests": %d, "seconds": %.6f, "p50": %.3f, "p99": %.3f, "failed": %d}\n',
        summary.requests, summary.duration / 1e6,
        latency:percentile(50) / 1000, latency:percentile(99) / 1000,
        errors.connect + errors.read + errors.write + errors.status + errors.timeout
    ))
end
