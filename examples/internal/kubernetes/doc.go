// Package kubernetes tests Clover as users have it: installed into a real
// cluster, driven and removed by the program cloverctl, with Jaeger and the
// sample as pods.
package kubernetes
