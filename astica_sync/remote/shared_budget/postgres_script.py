"""The rule of ``budget_server`` as a function that PostgreSQL runs in one transaction, on its own clock.

The tables are unlogged: a commit waits for no disk, and what a crash or a failover takes from them is all of it, which
is noticed. A change of the function gets another number, so that two versions of the program can use one server.
"""

CALL = (
    "SELECT astica_sync.budget_call_1($1, $2, $3::float8, $4, $5::float8, $6::float8, $7::float8, $8::float8,"
    " $9::float8, $10, $11, $12::float8[], $13::float8[], $14::text[])"
)

SCRIPT = """
CREATE SCHEMA IF NOT EXISTS astica_sync;
CREATE UNLOGGED TABLE IF NOT EXISTS astica_sync.budget_state (
  name text PRIMARY KEY, run text NOT NULL, epoch text NOT NULL, wall float8 NOT NULL,
  most float8, most_until float8, span float8, span_until float8,
  opened bigint NOT NULL DEFAULT 0, done bigint NOT NULL DEFAULT 0,
  blocked_until float8, blocked_hold float8, why text,
  rest_since float8, rest_seconds float8, refusals int, latency float8
) WITH (fillfactor = 20);
CREATE UNLOGGED TABLE IF NOT EXISTS astica_sync.budget_request (
  name text NOT NULL, member text NOT NULL, timeout float8 NOT NULL, done boolean NOT NULL, until float8 NOT NULL,
  PRIMARY KEY (name, member)
);
CREATE INDEX IF NOT EXISTS budget_request_until ON astica_sync.budget_request (name, done, until);
CREATE UNLOGGED TABLE IF NOT EXISTS astica_sync.budget_waiting (
  name text NOT NULL, who text NOT NULL, lane int NOT NULL, until float8 NOT NULL, PRIMARY KEY (name, who, lane)
);

CREATE OR REPLACE FUNCTION astica_sync.budget_proven(hold float8, wall float8, ages float8[], ats float8[])
RETURNS float8 LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
  FOR i IN 1 .. coalesce(array_length(ages, 1), 0) LOOP
    IF ages[i] >= hold THEN RETURN least(wall, ats[i]); END IF;
  END LOOP;
  RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION astica_sync.budget_free_in(
  score float8, hold float8, wall float8, ages float8[], ats float8[]
) RETURNS float8 LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE known float8 := astica_sync.budget_proven(hold, wall, ages, ats);
BEGIN
  IF known IS NOT NULL THEN RETURN score - known; END IF;
  RETURN greatest(score - wall, hold - coalesce(ages[array_length(ages, 1)], 0));
END $$;

CREATE OR REPLACE FUNCTION astica_sync.budget_call_1(
  budget text, op text, given float8, nonce text, most float8, span float8, margin float8, loss_rest float8,
  poll float8, distrusted text, known_epoch text, ages float8[], ats float8[], arguments text[]
) RETURNS text[] LANGUAGE plpgsql SET search_path = astica_sync AS $$
DECLARE
  moment float8;
  current_run text := extract(epoch FROM pg_postmaster_start_time())::text;
  state astica_sync.budget_state;
  reason text;
  whole float8;
  ended float8;
  gone bigint;
  lane_ int;
  ahead bigint := 0;
  used bigint;
  places bigint;
  place bigint;
  seconds float8 := 0;
  refused int := 0;
  till float8;
  after float8;
  status text := 'ok';
  details text[] := '{}';
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended(budget, 7301));
  moment := coalesce(given, extract(epoch FROM clock_timestamp()));
  SELECT * INTO state FROM budget_state WHERE name = budget;
  IF NOT FOUND THEN reason := 'new';
  ELSIF state.run <> current_run THEN reason := 'restarted';
  ELSIF moment < state.wall - 0.001 * span OR distrusted = state.epoch THEN reason := 'clock';
  END IF;
  IF reason IS NOT NULL THEN
    DELETE FROM budget_request WHERE name = budget;
    DELETE FROM budget_waiting WHERE name = budget;
    DELETE FROM budget_state WHERE name = budget;
    INSERT INTO budget_state (name, run, epoch, wall, why, blocked_until, blocked_hold)
      VALUES (budget, current_run, nonce, moment, reason, moment + loss_rest, loss_rest) RETURNING * INTO state;
  END IF;
  moment := greatest(moment, state.wall);
  IF state.most IS NULL OR most <= state.most OR moment > state.most_until THEN
    state.most := most; state.most_until := moment + 10 * span;
  END IF;
  IF state.span IS NULL OR span >= state.span OR moment > state.span_until THEN
    state.span := span; state.span_until := moment + 10 * span;
  END IF;
  most := state.most; span := state.span; whole := span * (1 + margin);
  IF known_epoch <> state.epoch THEN ages := '{}'; ats := '{}'; END IF;

  ended := budget_proven(span, moment, ages, ats);
  IF ended IS NOT NULL THEN
    DELETE FROM budget_request WHERE name = budget AND done AND until <= ended;
    GET DIAGNOSTICS gone = ROW_COUNT;
    state.done := state.done - gone;
  END IF;
  IF state.opened > 0 THEN
    DELETE FROM budget_request WHERE name = budget AND NOT done AND until <= moment
      AND until <= budget_proven(timeout + span, moment, ages, ats);
    GET DIAGNOSTICS gone = ROW_COUNT;
    state.opened := state.opened - gone;
  END IF;
  IF state.blocked_until <= budget_proven(state.blocked_hold, moment, ages, ats) THEN
    state.blocked_until := NULL; state.blocked_hold := NULL; state.why := NULL;
  END IF;

  IF op = 'take' THEN
    lane_ := arguments[2]::int;
    SELECT count(*) INTO ahead FROM budget_waiting WHERE name = budget AND lane < lane_ AND until > moment;
    used := state.opened + state.done;
    places := most::bigint - ahead;
    IF state.rest_since <= moment THEN seconds := state.rest_since + state.rest_seconds - moment; END IF;
    IF state.blocked_until IS NOT NULL THEN
      seconds := greatest(
        seconds, budget_free_in(state.blocked_until, state.blocked_hold, moment, ages, ats), 0.001);
    END IF;
    IF used >= places THEN
      IF places <= 0 THEN
        seconds := 'Infinity';
      ELSE
        place := least(used - places, 1000);
        SELECT free INTO till FROM (
          (SELECT budget_free_in(until, span, moment, ages, ats) AS free FROM budget_request
            WHERE name = budget AND done ORDER BY until LIMIT place + 1)
          UNION ALL
          (SELECT least(whole, budget_free_in(until, timeout + span, moment, ages, ats)) FROM budget_request
            WHERE name = budget AND NOT done ORDER BY until LIMIT place + 1)
        ) AS both_kinds ORDER BY free OFFSET place LIMIT 1;
        IF till IS NULL THEN
          -- Rows are gone that the state has counted.
          UPDATE budget_state SET run = '' WHERE name = budget;
        END IF;
        seconds := greatest(seconds, coalesce(till, whole));
      END IF;
    ELSIF seconds <= 0 THEN
      till := split_part(arguments[1], '|', 2)::float8;
      INSERT INTO budget_request VALUES (budget, arguments[1], till, false, moment + till + whole);
      DELETE FROM budget_waiting WHERE name = budget AND (until <= moment OR (who = arguments[3] AND lane = lane_));
      state.opened := state.opened + 1;
      status := 'granted';
    END IF;
    IF status <> 'granted' THEN
      IF ahead > 0 THEN seconds := least(seconds, poll); END IF;
      seconds := greatest(seconds, 0.001);
      IF lane_ < 2 THEN
        INSERT INTO budget_waiting VALUES (budget, arguments[3], lane_, moment + seconds + poll)
          ON CONFLICT (name, who, lane) DO UPDATE SET until = excluded.until;
      END IF;
      status := 'wait';
    ELSE
      seconds := 0;
    END IF;

  ELSIF op = 'release' THEN
    IF arguments[2] = '1' THEN
      DELETE FROM budget_request WHERE name = budget AND member = arguments[1] AND NOT done;
      GET DIAGNOSTICS gone = ROW_COUNT;
      state.opened := state.opened - gone;
      -- Its answer may have been lost, and then it is here a second time.
      UPDATE budget_request SET until = moment + whole WHERE name = budget AND member = arguments[1];
      IF NOT FOUND THEN
        INSERT INTO budget_request
          VALUES (budget, arguments[1], split_part(arguments[1], '|', 2)::float8, true, moment + whole);
        state.done := state.done + 1;
      END IF;
      state.latency := coalesce(0.8 * state.latency + 0.2 * arguments[5]::float8, arguments[5]::float8);
    ELSE
      DELETE FROM budget_request WHERE name = budget AND member = arguments[1] AND NOT done;
      GET DIAGNOSTICS gone = ROW_COUNT;
      state.opened := state.opened - gone;
    END IF;
    IF arguments[3] = '1' AND state.rest_since <= arguments[4]::float8 THEN
      state.rest_since := NULL; state.rest_seconds := NULL; state.refusals := NULL;
    END IF;

  ELSIF op = 'extend' THEN
    till := split_part(arguments[2], '|', 2)::float8;
    UPDATE budget_request SET member = arguments[2], timeout = till, until = moment + till + whole
      WHERE name = budget AND member = arguments[1] AND NOT done;
    IF NOT FOUND THEN status := 'void'; END IF;

  ELSIF op = 'back_off' THEN
    after := nullif(arguments[1], '')::float8;
    till := moment;
    IF state.rest_since <= moment THEN
      refused := state.refusals;
      till := greatest(moment, state.rest_since + state.rest_seconds);
    END IF;
    IF NOT (refused > 0 AND coalesce(nullif(arguments[2], '')::float8 < state.rest_since, false)) THEN
      refused := refused + 1;
      IF coalesce(after, 0) < 1 THEN
        till := greatest(
          till, moment + least(arguments[4]::float8, arguments[3]::float8 * 2 ^ least(refused - 1, 10)));
      END IF;
    END IF;
    IF after IS NOT NULL THEN till := greatest(till, moment + least(after, arguments[5]::float8)); END IF;
    state.rest_since := moment; state.rest_seconds := till - moment; state.refusals := refused;
    seconds := till - moment;

  ELSE
    seconds := greatest(0, coalesce(state.blocked_until, 0) - moment,
      coalesce(state.rest_since + state.rest_seconds, 0) - moment);
    SELECT array[coalesce(state.latency::text, '')] || coalesce(array_agg(word ORDER BY row_, part), '{}') INTO details
    FROM (
      SELECT row_, part, CASE part WHEN 1 THEN kind ELSE at::text END AS word
      FROM (SELECT row_number() OVER () AS row_, CASE WHEN done THEN 'done' ELSE 'open' END AS kind,
              until - whole - moment - CASE WHEN done THEN 0 ELSE timeout END AS at
            FROM budget_request WHERE name = budget AND until > moment LIMIT arguments[1]::int) AS found,
        generate_series(1, 2) AS part
    ) AS words;
  END IF;

  UPDATE budget_state SET
    wall = moment, most = state.most, most_until = state.most_until, span = state.span, span_until = state.span_until,
    opened = state.opened, done = state.done, blocked_until = state.blocked_until, blocked_hold = state.blocked_hold,
    why = state.why, rest_since = state.rest_since, rest_seconds = state.rest_seconds, refusals = state.refusals,
    latency = state.latency
  WHERE name = budget;
  RETURN array[moment::text, state.epoch, coalesce(state.why, ''), most::text, span::text, status, seconds::text]
    || details;
END $$;
"""
