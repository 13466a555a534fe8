// Requests to the command that serves this page, and to no other host.
import { connection } from "./app_state.js";

export class ApiError extends Error {
  constructor(status, error, hint, data = {}) {
    super(error);
    this.status = status;
    this.hint = hint;
    this.data = data;
  }
}

const listeners = new Set();

/** Calls back when a request finds that the command does not answer. */
export function onLost(callback) {
  listeners.add(callback);
}

export async function request(path, options = {}) {
  let response;
  try {
    response = await fetch(path, { credentials: "same-origin", redirect: "error", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    if (connection.value !== "lost") {
      connection.value = "lost";
      for (const callback of listeners) callback();
    }
    throw new ApiError(0, "The command does not answer", "Start it again in the same folder: astica-sync page");
  }
  if (response.ok) return response;
  let data = {};
  try {
    data = await response.json();
  } catch {
    // An answer without JSON has its status alone.
  }
  if (response.status === 401 || (response.status === 403 && options.method !== "POST")) connection.value = "ended";
  throw new ApiError(response.status, data.error ?? `The page answered ${response.status}`, data.hint ?? "", data);
}

export async function getJson(path, query = {}, options = {}) {
  const wanted = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value === null || value === "" || value === false || value === undefined) continue;
    wanted.set(name, value === true ? "1" : value);
  }
  const text = wanted.toString();
  return (await request(text ? `${path}?${text}` : path, options)).json();
}

export async function post(path, body = {}) {
  const response = await request(path, {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-Astica-Page": "1" },
    body: JSON.stringify(body),
  });
  const text = await response.text();
  return text ? JSON.parse(text) : {};
}
