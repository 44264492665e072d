/** What `make client-check` does with the client, in Node and in a browser: a user's first steps. */

import { createApiClient, type ApiClient, type Problem, type Schemas } from "./index.js";

const PASSWORD = "correct horse battery staple";

/** Signs up, signs in, pages through items and is refused; returns what was done, or throws. */
export async function check(baseUrl: string, email: string): Promise<string> {
  let token: string | undefined;
  const client = createApiClient(baseUrl, () => token);
  const refused: Problem = expectProblem(await client.GET("/api/v1/users/me"), 401);
  equal(refused.code, "not_authenticated");
  await signUp(client, email);
  token = await signIn(client, email);
  for (const title of ["one", "two", "three"]) {
    const { data } = await client.POST("/api/v1/items", { body: { title } });
    equal(data?.description, null);
  }
  const titles = (await readItems(client)).map((item) => item.title);
  equal(titles.join(), "three,two,one");
  await readFieldErrors(client);
  const left = await client.POST("/api/v1/auth/logout");
  equal(left.response.status, 204);
  equal(expectProblem(await client.GET("/api/v1/items"), 401).code, "invalid_token");
  return "signed up and in, paged through items, read problem documents, signed out";
}

async function signUp(client: ApiClient, email: string): Promise<void> {
  const body: Schemas["SignUp"] = {
    email,
    password: PASSWORD,
  };
  const { data } = await client.POST("/api/v1/auth/signup", { body });
  const verified: string | null | undefined = data?.email_verified_at;
  equal(verified, null);
  const again = await client.POST("/api/v1/auth/signup", { body });
  equal(expectProblem(again, 409).code, "email_taken");
}

async function signIn(client: ApiClient, email: string): Promise<string> {
  const { data } = await client.POST("/api/v1/auth/login", {
    body: { username: email, password: PASSWORD },
    headers: { "Content-Type": "application/x-www-form-urlencoded" },
  });
  if (data === undefined) throw new Error("no token");
  const kind: "bearer" = data.token_type;
  equal(kind, "bearer");
  return data.access_token;
}

async function readItems(client: ApiClient): Promise<Schemas["ItemPublic"][]> {
  const items: Schemas["ItemPublic"][] = [];
  let cursor: string | null = null;
  do {
    const query: { limit: number; cursor: string | null } = { limit: 2, cursor };
    const { data, error } = await client.GET("/api/v1/items", { params: { query } });
    if (data === undefined) throw new Error(error.detail);
    items.push(...data.data);
    cursor = data.next_cursor;
  } while (cursor !== null);
  return items;
}

async function readFieldErrors(client: ApiClient): Promise<void> {
  // @ts-expect-error: an item has a title
  const answer = await client.POST("/api/v1/items", { body: { description: "untitled" } });
  const problem = expectProblem(answer, 422);
  equal(problem.errors?.[0]?.loc.join("."), "body.title");
  equal(answer.response.headers.get("X-Request-ID"), problem.request_id);
}

/** Takes what any call returns: every error of every operation is a `Problem`. */
function expectProblem(answer: { error?: Problem; response: Response }, status: number): Problem {
  equal(answer.response.status, status);
  equal(answer.response.headers.get("Content-Type"), "application/problem+json");
  if (answer.error === undefined) throw new Error(`no problem document with ${status}`);
  equal(answer.error.status, status);
  return answer.error;
}

function equal(found: unknown, expected: unknown): void {
  if (found !== expected) throw new Error(`${String(found)} is not ${String(expected)}`);
}
