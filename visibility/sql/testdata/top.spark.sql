WITH matching AS (
  SELECT CASE WHEN role <> 'client' THEN service WHEN destination = '' THEN '(unknown)' ELSE destination END AS g0, CASE WHEN status_code = 0 THEN '' ELSE CAST(status_code AS STRING) END AS g1, CAST(0 AS BIGINT) AS step, CASE WHEN duration_ns <= 0 THEN -1 ELSE CAST(floor(ln(CAST(duration_ns AS DOUBLE)) * CAST('49.99833328888678' AS DOUBLE)) AS INT) END AS bar, duration_ns AS ns,
    CASE WHEN error THEN 1 ELSE 0 END AS failed,
    CASE WHEN request_size > 0 THEN request_size ELSE 0 END AS request_bytes,
    CASE WHEN response_size > 0 THEN response_size ELSE 0 END AS response_bytes
  FROM parquet.`/data/o'clock`
  WHERE bucket >= 1772452800 AND bucket < 1772456410 AND role <> 'span' AND ((status_code <> 0 AND (status_code >= CAST('500' AS DOUBLE))) AND ((CASE WHEN role <> 'client' THEN service WHEN destination = '' THEN '(unknown)' ELSE destination END <> '' AND (replace(lower(trim(CASE WHEN role <> 'client' THEN service WHEN destination = '' THEN '(unknown)' ELSE destination END)), '_', '-') IN ('http-lb') OR startswith(replace(lower(trim(CASE WHEN role <> 'client' THEN service WHEN destination = '' THEN '(unknown)' ELSE destination END)), '_', '-'), 'http-lb.')))) AND NOT ((url) <> '' AND (url RLIKE '\u005cA\u005cx{68}\u005cx{74}\u005cx{74}\u005cx{70}\u005cx{3a}\u005cx{2f}\u005cx{2f}(?:[\u005cx{0}-\u005cx{2e}\u005cx{30}-\u005cx{10ffff}])+\u005cx{2f}[\u005cx{49}\u005cx{69}][\u005cx{54}\u005cx{74}][\u005cx{45}\u005cx{65}][\u005cx{4d}\u005cx{6d}]\u005cx{2f}(?:[\u005cx{30}-\u005cx{39}])+\u005cz')))
), bars AS (
  SELECT g0, g1, step, bar, count(*) AS n, sum(failed) AS errors, sum(ns) AS total_ns, min(ns) AS min_ns, max(ns) AS max_ns,
    sum(request_bytes) AS request_bytes, sum(response_bytes) AS response_bytes
  FROM matching GROUP BY g0, g1, step, bar
), ranks AS (
  SELECT g0, g1, bar, n, errors, total_ns, min_ns, max_ns,
    sum(n) OVER (PARTITION BY g0, g1 ORDER BY bar RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS seen,
    floor(CAST('0.99' AS DOUBLE) * (sum(n) OVER (PARTITION BY g0, g1) - 1)) AS wanted
  FROM bars
), groups AS (
  SELECT g0, g1, sum(n) AS n, sum(errors) AS errors, sum(total_ns) AS total_ns, min(min_ns) AS min_ns, max(max_ns) AS max_ns, min(CASE WHEN seen > wanted THEN bar END) AS quantile FROM ranks GROUP BY g0, g1
), places AS (
  SELECT g0, g1, CAST(row_number() OVER (ORDER BY least(greatest(CASE WHEN quantile < 0 THEN 0 ELSE round(exp(quantile / CAST('49.99833328888678' AS DOUBLE)) * CAST('1.01' AS DOUBLE)) END, min_ns), max_ns) DESC, g0, g1) AS BIGINT) AS place FROM groups
)
SELECT CASE WHEN place <= 5 THEN place ELSE 0 END AS place,
  CASE WHEN place <= 5 THEN bars.g0 ELSE '' END AS g0,
  CASE WHEN place <= 5 THEN bars.g1 ELSE '' END AS g1,
  CASE WHEN place <= 5 THEN step ELSE 0 END AS step,
  bar,
  CAST(sum(n) AS BIGINT) AS n, CAST(sum(errors) AS BIGINT) AS errors, CAST(sum(total_ns) AS BIGINT) AS total_ns,
  min(min_ns) AS min_ns, max(max_ns) AS max_ns,
  CAST(sum(request_bytes) AS BIGINT) AS request_bytes, CAST(sum(response_bytes) AS BIGINT) AS response_bytes,
  max(place) AS last_place
FROM bars JOIN places ON bars.g0 = places.g0 AND bars.g1 = places.g1
GROUP BY 1, 2, 3, 4, 5
