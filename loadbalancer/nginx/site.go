package nginx

import (
	"slices"
	"strconv"
	"strings"

	"github.com/opnfv/clover/loadbalancer"
	"github.com/opnfv/clover/loadbalancer/nginx/conf"
)

// site adds the locations of a site for one of the routes to it.
func (s *virtualHost) site(r loadbalancer.Route, routes []loadbalancer.Route) {
	i := slices.IndexFunc(s.config.Sites, func(site loadbalancer.Site) bool { return site.Name == r.Site })
	site := s.config.Sites[i]
	s.uploads(site, r, routes)
	rule := longest(site.Locations, r.Path)
	s.place(r.Path, r.Exact, routes, files(site, rule)...)
	if r.Exact {
		return
	}
	// Rules for parts of the site below the route, where no longer route
	// takes the requests.
	for _, l := range site.Locations {
		if within(l.Match, r.Path) && !same(l.Match, r.Path) && owner(l.Match, routes) == r {
			s.place(l.Match, false, routes, files(site, &l)...)
		}
	}
}

func same(a, b string) bool { return strings.TrimSuffix(a, "/") == strings.TrimSuffix(b, "/") }

// longest returns the rule for a path, or nil.
func longest(rules []loadbalancer.Location, path string) *loadbalancer.Location {
	var best *loadbalancer.Location
	for i := range rules {
		if within(path, rules[i].Match) && (best == nil || len(rules[i].Match) > len(best.Match)) {
			best = &rules[i]
		}
	}
	return best
}

// owner returns the route, of those that are no exact ones, for a path.
func owner(path string, routes []loadbalancer.Route) loadbalancer.Route {
	var best loadbalancer.Route
	for _, r := range routes {
		if !r.Exact && within(path, r.Path) && len(r.Path) > len(best.Path) {
			best = r
		}
	}
	return best
}

// files serves files of a site by a rule, or by its index where there is none.
func files(site loadbalancer.Site, rule *loadbalancer.Location) []conf.Directive {
	list := []conf.Directive{
		b("if", words("($request_method", "!~", "^(GET|HEAD)$", ")"), d("return", "405")),
		d("root", strings.TrimSuffix(site.Root, "/")),
		// Links may lead out of the root; nginx can only follow all or none.
		d("disable_symlinks", "on", "from=$document_root"),
	}
	if rule == nil {
		return append(list, d("try_files", tries(site, loadbalancer.Try{Files: []string{"$uri", "$uri/"}})...))
	}
	if !same(rule.Match, rule.Folder) {
		list = append(list, d("rewrite",
			"^"+quoteRegexp(strings.TrimSuffix(rule.Match, "/"))+"(?:/(.*))?$",
			strings.TrimSuffix(rule.Folder, "/")+"/$1", "break"))
	}
	return append(list, d("try_files", tries(site, rule.Try)...))
}

// tries are the words of try_files.
func tries(site loadbalancer.Site, t loadbalancer.Try) []string {
	var list []string
	for _, f := range t.Files {
		if f == "$uri/" {
			f = "$uri/" + site.Index
		}
		list = append(list, f)
	}
	end := 404
	if t.Status != 0 {
		end = t.Status
	}
	if t.Named != "" {
		list = append(list, "/"+site.Index)
	}
	return append(list, "="+strconv.Itoa(end))
}
