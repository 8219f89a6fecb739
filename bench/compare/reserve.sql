-- The reservation as a PostgreSQL function, one statement and one round trip. Run by psql with the variables `skus` and `initial`.
--
-- `hold` carries its lines as arrays: a row and an index entry less per line than a table of lines. Id: 128 bits as two bigints, because pgbench
-- can send those as parameters. Half of each page of `stock` is left empty, so that a new version of a row stays in its page and in no index.
CREATE TABLE stock (sku int PRIMARY KEY, available int NOT NULL CHECK (available >= 0)) WITH (fillfactor = 50);
CREATE TABLE hold (
    id_high bigint NOT NULL,
    id_low bigint NOT NULL,
    ends timestamptz NOT NULL,
    skus int[] NOT NULL,
    quantities int[] NOT NULL,
    remaining int[] NOT NULL,
    PRIMARY KEY (id_high, id_low)
);
CREATE INDEX hold_ends ON hold (ends);
INSERT INTO stock SELECT sku, :initial FROM generate_series(1, :skus) AS sku;

-- Answers what remains of each line's SKU; the same again for the same id and lines. Refusals are errors, which undo everything.
-- Rows are locked in ascending order of SKU, so no two calls can wait for each other. Two calls at once with one new id: the later one fails
-- on the primary key with nothing done, and finds the stored answer when it is repeated.
CREATE FUNCTION reserve(p_high bigint, p_low bigint, p_skus int[], p_quantities int[], p_ttl interval) RETURNS int[] LANGUAGE plpgsql AS $$
DECLARE
    kept hold;
    wanted int[] := p_skus;
    amounts int[] := p_quantities;
    remains int[] := '{}';
    rest int;
BEGIN
    SELECT * INTO kept FROM hold WHERE id_high = p_high AND id_low = p_low;
    IF FOUND THEN
        IF kept.skus = p_skus AND kept.quantities = p_quantities THEN RETURN kept.remaining; END IF;
        RAISE EXCEPTION 'REUSED the id belongs to other lines';
    END IF;
    FOR i IN 2 .. cardinality(wanted) LOOP
        IF wanted[i] <= wanted[i - 1] THEN -- rare: callers send them in order, each SKU once
            SELECT array_agg(sku ORDER BY sku), array_agg(quantity ORDER BY sku) INTO wanted, amounts
            FROM (SELECT sku, sum(quantity)::int AS quantity FROM unnest(p_skus, p_quantities) AS line (sku, quantity) GROUP BY sku) AS line;
            EXIT;
        END IF;
    END LOOP;
    FOR i IN 1 .. cardinality(wanted) LOOP
        UPDATE stock SET available = available - amounts[i] WHERE sku = wanted[i] AND available >= amounts[i] RETURNING available INTO rest;
        IF NOT FOUND THEN RAISE EXCEPTION 'SHORT %', wanted[i]; END IF;
        remains := remains || rest;
    END LOOP;
    INSERT INTO hold VALUES (p_high, p_low, now() + p_ttl, p_skus, p_quantities, remains);
    RETURN remains;
END $$;

-- Ends holds whose time is over, oldest first, at most `p_max`, and gives back their stock. Answers how many.
CREATE FUNCTION expire(p_now timestamptz, p_max int) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
    ended int;
BEGIN
    CREATE TEMPORARY TABLE IF NOT EXISTS over_now (sku int, quantity int) ON COMMIT DELETE ROWS;
    WITH over AS (SELECT id_high, id_low FROM hold WHERE ends <= p_now ORDER BY ends LIMIT p_max FOR UPDATE SKIP LOCKED),
    gone AS (DELETE FROM hold USING over WHERE hold.id_high = over.id_high AND hold.id_low = over.id_low RETURNING skus, quantities),
    lines AS (INSERT INTO over_now SELECT line.* FROM gone, unnest(skus, quantities) AS line)
    SELECT count(*) INTO ended FROM gone;
    PERFORM 1 FROM stock WHERE sku IN (SELECT sku FROM over_now) ORDER BY sku FOR UPDATE;
    UPDATE stock SET available = available + back.quantity
    FROM (SELECT sku, sum(quantity) AS quantity FROM over_now GROUP BY sku) AS back WHERE stock.sku = back.sku;
    RETURN ended;
END $$;
