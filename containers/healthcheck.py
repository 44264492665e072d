"""Ask the service of this container whether it is ready, and print what it says."""

import http.client
import sys

connection = http.client.HTTPConnection("127.0.0.1", 8000, timeout=4)
try:
    connection.request("GET", "/readyz")
    answer = connection.getresponse()
except OSError as error:
    sys.exit(str(error))
print(answer.read().decode())
sys.exit(answer.status != http.HTTPStatus.OK)
