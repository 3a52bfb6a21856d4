package loadbalancer

// Site is a folder of files. GET and HEAD are answered; other methods get
// 405, but for uploads.
type Site struct {
	// Name is how routes name the site.
	Name string `json:"name"`
	// Root is the folder, an absolute path. Nothing outside of it is served,
	// whatever links lie in it.
	Root string `json:"root"`
	// Index is the file that answers for a folder. Empty: "index.html".
	Index string `json:"index,omitempty"`
	// UploadPath takes files by POST and keeps them as Root/upload/NUMBER,
	// with ten digits, in answer 201 with their place as Location. Empty:
	// uploads are off.
	UploadPath string `json:"upload_path,omitempty"`
	// UploadForm answers GET with a page to upload by hand. Empty: none.
	UploadForm string `json:"upload_form,omitempty"`
	// MaxUploadBytes bounds one upload. 0: 10 MiB.
	MaxUploadBytes int64 `json:"max_upload_bytes,omitempty"`
	// Locations are parts of the site with a rule of their own; of several
	// that match, the longest is taken.
	Locations []Location `json:"locations,omitempty"`
}

// Location is a part of a site with a rule of its own.
type Location struct {
	// Match is a path, matched by whole segments as Route.Path is.
	Match string `json:"match"`
	// Folder within Root that stands for Match: with Match "/a" and Folder
	// "/x", the URI /a/f is the file Root/x/f. Empty: Match itself.
	Folder string `json:"folder,omitempty"`
	// Try says what is tried in order.
	Try Try `json:"try"`
}

// Try is what a location tries, and what it ends with.
type Try struct {
	// Files are "$uri" for the file that the URI names, "$uri/" for the index
	// of the folder that it names, or a path within Root.
	Files []string `json:"files"`
	// Status is the end if nothing is there, 400 to 599. 0: Named or 404.
	Status int `json:"status,omitempty"`
	// Named is a named end without its "@": the index file of Root answers,
	// or 404 if there is none. Not beside Status.
	Named string `json:"named,omitempty"`
}

// FileCopy puts a file into a site, e.g. one that was uploaded. It is an
// action, done once by [CopyFiles], and no part of a Config.
type FileCopy struct {
	// Source and Destination lie below the site's root, relative or with the
	// root before them.
	Source      string `json:"source"`
	Destination string `json:"destination"`
}
