// Package master runs load tests on behalf of others, one at a time: it keeps
// plans, runs and their results in a folder, bounded in number and size, and
// has them again after a restart. It decides which targets a test may have.
package master
