// Package process runs plans by the real Apache JMeter: as one process
// ([JMeter]), or as a master with slaves that speak RMI ([Remote], [Slave]).
package process
