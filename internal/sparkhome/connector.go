package sparkhome

import (
	"context"
	_ "embed"

	"github.com/opnfv/clover/internal/maven"
)

// ConnectorVersion is the release of the Spark Cassandra Connector that
// connector.xml names. It is for the Spark of Version.
const ConnectorVersion = "3.5.1"

// ConnectorJar is the name of the connector's own jar.
const ConnectorJar = "spark-cassandra-connector_2.12-" + ConnectorVersion + ".jar"

// ConnectorPOM names what the connector consists of.
//
//go:embed connector.xml
var ConnectorPOM []byte

// FetchConnector puts the connector's jars into the folder dir.
func FetchConnector(ctx context.Context, dir string) error {
	return maven.Fetch(ctx, ConnectorPOM, dir)
}
