WITH matching AS (
  SELECT '' AS g0, CAST(0 AS BIGINT) AS step, CASE WHEN duration_ns <= 0 THEN -1 ELSE CAST(floor(ln(CAST(duration_ns AS DOUBLE)) * CAST('49.99833328888678' AS DOUBLE)) AS INT) END AS bar, duration_ns AS ns,
    CASE WHEN error THEN 1 ELSE 0 END AS failed,
    CASE WHEN request_size > 0 THEN request_size ELSE 0 END AS request_bytes,
    CASE WHEN response_size > 0 THEN response_size ELSE 0 END AS response_bytes
  FROM parquet.`/data/o'clock`
  WHERE bucket >= 1772452800 AND bucket < 1772456410 AND role <> 'span'
), bars AS (
  SELECT g0, step, bar, count(*) AS n, sum(failed) AS errors, sum(ns) AS total_ns, min(ns) AS min_ns, max(ns) AS max_ns,
    sum(request_bytes) AS request_bytes, sum(response_bytes) AS response_bytes
  FROM matching GROUP BY g0, step, bar
), groups AS (
  SELECT g0, sum(n) AS n, sum(errors) AS errors, sum(total_ns) AS total_ns, min(min_ns) AS min_ns, max(max_ns) AS max_ns FROM bars GROUP BY g0
), places AS (
  SELECT g0, CAST(row_number() OVER (ORDER BY n DESC, g0) AS BIGINT) AS place FROM groups
)
SELECT CASE WHEN place <= 100 THEN place ELSE 0 END AS place,
  CASE WHEN place <= 100 THEN bars.g0 ELSE '' END AS g0,
  CASE WHEN place <= 100 THEN step ELSE 0 END AS step,
  bar,
  CAST(sum(n) AS BIGINT) AS n, CAST(sum(errors) AS BIGINT) AS errors, CAST(sum(total_ns) AS BIGINT) AS total_ns,
  min(min_ns) AS min_ns, max(max_ns) AS max_ns,
  CAST(sum(request_bytes) AS BIGINT) AS request_bytes, CAST(sum(response_bytes) AS BIGINT) AS response_bytes,
  max(place) AS last_place
FROM bars JOIN places ON bars.g0 = places.g0
GROUP BY 1, 2, 3, 4
