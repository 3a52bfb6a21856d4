(
SELECT trace_id,
  span_id,
  parent_id,
  bucket,
  start_ns,
  duration_ns,
  error,
  request_size,
  response_size,
  status_code,
  mirrored,
  CASE WHEN instr(service, '\u005c') = 0 THEN service ELSE replace(replace(replace(replace(service, '\u005cn', '\u000a'), '\u005cr', '\u000d'), '\u005ct', '\u0009'), '\u005cb', '\u005c') END AS service,
  CASE WHEN instr(operation, '\u005c') = 0 THEN operation ELSE replace(replace(replace(replace(operation, '\u005cn', '\u000a'), '\u005cr', '\u000d'), '\u005ct', '\u0009'), '\u005cb', '\u005c') END AS operation,
  CASE WHEN instr(url, '\u005c') = 0 THEN url ELSE replace(replace(replace(replace(url, '\u005cn', '\u000a'), '\u005cr', '\u000d'), '\u005ct', '\u0009'), '\u005cb', '\u005c') END AS url,
  CASE WHEN instr(url_template, '\u005c') = 0 THEN url_template ELSE replace(replace(replace(replace(url_template, '\u005cn', '\u000a'), '\u005cr', '\u000d'), '\u005ct', '\u0009'), '\u005cb', '\u005c') END AS url_template,
  CASE WHEN instr(method, '\u005c') = 0 THEN method ELSE replace(replace(replace(replace(method, '\u005cn', '\u000a'), '\u005cr', '\u000d'), '\u005ct', '\u0009'), '\u005cb', '\u005c') END AS method,
  CASE WHEN instr(user_agent, '\u005c') = 0 THEN user_agent ELSE replace(replace(replace(replace(user_agent, '\u005cn', '\u000a'), '\u005cr', '\u000d'), '\u005ct', '\u0009'), '\u005cb', '\u005c') END AS user_agent,
  CASE WHEN instr(upstream_cluster, '\u005c') = 0 THEN upstream_cluster ELSE replace(replace(replace(replace(upstream_cluster, '\u005cn', '\u000a'), '\u005cr', '\u000d'), '\u005ct', '\u0009'), '\u005cb', '\u005c') END AS upstream_cluster,
  CASE WHEN instr(node, '\u005c') = 0 THEN node ELSE replace(replace(replace(replace(node, '\u005cn', '\u000a'), '\u005cr', '\u000d'), '\u005ct', '\u0009'), '\u005cb', '\u005c') END AS node,
  CASE WHEN instr(kind, '\u005c') = 0 THEN kind ELSE replace(replace(replace(replace(kind, '\u005cn', '\u000a'), '\u005cr', '\u000d'), '\u005ct', '\u0009'), '\u005cb', '\u005c') END AS kind,
  CASE WHEN instr(source, '\u005c') = 0 THEN source ELSE replace(replace(replace(replace(source, '\u005cn', '\u000a'), '\u005cr', '\u000d'), '\u005ct', '\u0009'), '\u005cb', '\u005c') END AS source,
  CASE WHEN instr(destination, '\u005c') = 0 THEN destination ELSE replace(replace(replace(replace(destination, '\u005cn', '\u000a'), '\u005cr', '\u000d'), '\u005ct', '\u0009'), '\u005cb', '\u005c') END AS destination,
  CASE WHEN instr(version, '\u005c') = 0 THEN version ELSE replace(replace(replace(replace(version, '\u005cn', '\u000a'), '\u005cr', '\u000d'), '\u005ct', '\u0009'), '\u005cb', '\u005c') END AS version,
  role
FROM (
  SELECT TRANSFORM(traceid, record) ROW FORMAT DELIMITED FIELDS TERMINATED BY '\u0009'
  USING '/opt/it\u0027s/clover-spark rows'
  AS (trace_id STRING, span_id STRING, parent_id STRING, bucket BIGINT, start_ns BIGINT, duration_ns BIGINT, error BOOLEAN, request_size BIGINT, response_size BIGINT, status_code INT, mirrored BOOLEAN, service STRING, operation STRING, url STRING, url_template STRING, method STRING, user_agent STRING, upstream_cluster STRING, node STRING, kind STRING, source STRING, destination STRING, version STRING, role STRING) ROW FORMAT DELIMITED FIELDS TERMINATED BY '\u0009'
  FROM (
    SELECT traceid, hex(record) AS record FROM `c``1`.`mesh`.spans
    WHERE version <> 0 AND (version & 4294967295) <= element_at(element_at(
      (SELECT map_from_entries(collect_list(struct(name, epochs))) FROM `c``1`.`mesh`.writers WHERE epochs IS NOT NULL), writer),
      CAST(shiftright(version, 32) AS INT))
  )
)
WHERE rand() >= 0 AND start_ns >= coalesce((SELECT max(value) FROM `c``1`.`mesh`.meta WHERE name = 'floor'), 0) * 1000000000
)

(
SELECT trace_id,
  span_id,
  parent_id,
  bucket,
  start_ns,
  duration_ns,
  error,
  request_size,
  response_size,
  status_code,
  mirrored,
  CASE WHEN instr(service, '\u005c') = 0 THEN service ELSE replace(replace(replace(replace(service, '\u005cn', '\u000a'), '\u005cr', '\u000d'), '\u005ct', '\u0009'), '\u005cb', '\u005c') END AS service,
  CASE WHEN instr(operation, '\u005c') = 0 THEN operation ELSE replace(replace(replace(replace(operation, '\u005cn', '\u000a'), '\u005cr', '\u000d'), '\u005ct', '\u0009'), '\u005cb', '\u005c') END AS operation,
  CASE WHEN instr(url, '\u005c') = 0 THEN url ELSE replace(replace(replace(replace(url, '\u005cn', '\u000a'), '\u005cr', '\u000d'), '\u005ct', '\u0009'), '\u005cb', '\u005c') END AS url,
  CASE WHEN instr(url_template, '\u005c') = 0 THEN url_template ELSE replace(replace(replace(replace(url_template, '\u005cn', '\u000a'), '\u005cr', '\u000d'), '\u005ct', '\u0009'), '\u005cb', '\u005c') END AS url_template,
  CASE WHEN instr(method, '\u005c') = 0 THEN method ELSE replace(replace(replace(replace(method, '\u005cn', '\u000a'), '\u005cr', '\u000d'), '\u005ct', '\u0009'), '\u005cb', '\u005c') END AS method,
  CASE WHEN instr(user_agent, '\u005c') = 0 THEN user_agent ELSE replace(replace(replace(replace(user_agent, '\u005cn', '\u000a'), '\u005cr', '\u000d'), '\u005ct', '\u0009'), '\u005cb', '\u005c') END AS user_agent,
  CASE WHEN instr(upstream_cluster, '\u005c') = 0 THEN upstream_cluster ELSE replace(replace(replace(replace(upstream_cluster, '\u005cn', '\u000a'), '\u005cr', '\u000d'), '\u005ct', '\u0009'), '\u005cb', '\u005c') END AS upstream_cluster,
  CASE WHEN instr(node, '\u005c') = 0 THEN node ELSE replace(replace(replace(replace(node, '\u005cn', '\u000a'), '\u005cr', '\u000d'), '\u005ct', '\u0009'), '\u005cb', '\u005c') END AS node,
  CASE WHEN instr(kind, '\u005c') = 0 THEN kind ELSE replace(replace(replace(replace(kind, '\u005cn', '\u000a'), '\u005cr', '\u000d'), '\u005ct', '\u0009'), '\u005cb', '\u005c') END AS kind,
  CASE WHEN instr(source, '\u005c') = 0 THEN source ELSE replace(replace(replace(replace(source, '\u005cn', '\u000a'), '\u005cr', '\u000d'), '\u005ct', '\u0009'), '\u005cb', '\u005c') END AS source,
  CASE WHEN instr(destination, '\u005c') = 0 THEN destination ELSE replace(replace(replace(replace(destination, '\u005cn', '\u000a'), '\u005cr', '\u000d'), '\u005ct', '\u0009'), '\u005cb', '\u005c') END AS destination,
  CASE WHEN instr(version, '\u005c') = 0 THEN version ELSE replace(replace(replace(replace(version, '\u005cn', '\u000a'), '\u005cr', '\u000d'), '\u005ct', '\u0009'), '\u005cb', '\u005c') END AS version,
  role
FROM (
  SELECT TRANSFORM(traceid, record) ROW FORMAT DELIMITED FIELDS TERMINATED BY '\u0009'
  USING '/opt/it\u0027s/clover-spark rows'
  AS (trace_id STRING, span_id STRING, parent_id STRING, bucket BIGINT, start_ns BIGINT, duration_ns BIGINT, error BOOLEAN, request_size BIGINT, response_size BIGINT, status_code INT, mirrored BOOLEAN, service STRING, operation STRING, url STRING, url_template STRING, method STRING, user_agent STRING, upstream_cluster STRING, node STRING, kind STRING, source STRING, destination STRING, version STRING, role STRING) ROW FORMAT DELIMITED FIELDS TERMINATED BY '\u0009'
  FROM (
    SELECT traceid, hex(record) AS record FROM (
      SELECT s.traceid, s.writer, s.version, s.record
      FROM (
        SELECT DISTINCT lower(hex(i.traceid)) AS traceid
        FROM (
          SELECT service, CAST(slot AS INT) AS slot, CAST(shard AS SMALLINT) AS shard
          FROM (SELECT substr(name, 100) AS service, CAST(value AS INT) AS shards FROM `c``1`.`mesh`.meta WHERE name = 'shards')
          LATERAL VIEW explode(sequence(0, shards - 1)) AS shard
          LATERAL VIEW explode(sequence(2954088, 2954094)) AS slot
        ) p JOIN `c``1`.`mesh`.trace_index i ON i.service = p.service AND i.slot = p.slot AND i.shard = p.shard
        WHERE i.second >= 1772452800 AND i.second < 1772456410
      ) t JOIN `c``1`.`mesh`.spans s ON s.traceid = t.traceid
    )
    WHERE version <> 0 AND (version & 4294967295) <= element_at(element_at(
      (SELECT map_from_entries(collect_list(struct(name, epochs))) FROM `c``1`.`mesh`.writers WHERE epochs IS NOT NULL), writer),
      CAST(shiftright(version, 32) AS INT))
  )
)
WHERE rand() >= 0 AND start_ns >= coalesce((SELECT max(value) FROM `c``1`.`mesh`.meta WHERE name = 'floor'), 0) * 1000000000
)
