/** A client of the API; its types are those of the OpenAPI document. */

import createFetchClient, { type Client } from "openapi-fetch";
import type { components, paths } from "./schema.js";

export type Schemas = components["schemas"];
export type Problem = Schemas["Problem"];
export type ApiClient = Client<paths>;

/** Calls the service at `baseUrl`, with the access token that `findToken` returns, if any. */
export function createApiClient(baseUrl: string, findToken: () => string | undefined): ApiClient {
  const client = createFetchClient<paths>({ baseUrl });
  client.use({
    onRequest({ request }) {
      const token = findToken();
      if (token !== undefined) request.headers.set("Authorization", `Bearer ${token}`);
    },
  });
  return client;
}
