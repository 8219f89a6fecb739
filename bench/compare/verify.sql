-- Holds, then SKUs where what was there is not what remains and is held together. Run by psql with the variable `initial`.
SELECT count(*) FROM hold;
SELECT count(*) FROM stock
FULL JOIN (SELECT sku, sum(quantity) AS quantity FROM hold, unnest(skus, quantities) AS line (sku, quantity) GROUP BY sku) AS held USING (sku)
WHERE available + coalesce(quantity, 0) IS DISTINCT FROM :initial;
