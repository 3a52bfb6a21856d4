// Package web holds the dashboard: a page that asks the REST API from the
// browser. Its source is TypeScript and Svelte; what is built of it is
// committed in dist, so that building Clover needs Go only.
package web

import (
	"embed"
	"io/fs"
)

//go:embed all:dist
var dist embed.FS

// Assets are the files of the dashboard: index.html, which must not be
// cached, and files whose names have a hash of their content in assets/.
var Assets = sub(dist, "dist")

// sub is the folder dir of files, which has to be there.
func sub(files fs.FS, dir string) fs.FS {
	assets, err := fs.Sub(files, dir)
	if err != nil {
		panic("web: " + err.Error()) // the name is not valid
	}
	return assets
}
