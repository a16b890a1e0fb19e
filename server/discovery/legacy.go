package discovery

import (
	"net"
	"net/http"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/endpoints/discovery"
	"k8s.io/apiserver/pkg/endpoints/handlers/negotiation"
	"k8s.io/apiserver/pkg/endpoints/handlers/responsewriters"
)

// noAddresses keeps the address of the server out of discovery: clients go on with the one they have.
type noAddresses struct{}

// ServerAddressByClientCIDRs implements discovery.Addresses.
func (noAddresses) ServerAddressByClientCIDRs(net.IP) []metav1.ServerAddressByClientCIDR {
	return []metav1.ServerAddressByClientCIDR{}
}

// serveRoot answers /api and /apis, in the form that the client asks for.
func (s *set) serveRoot(w http.ResponseWriter, req *http.Request, core bool) {
	if s.wantsAggregated(req) {
		s.serveAggregated(w, req, core)
		return
	}
	if core {
		if s.group("") == nil {
			s.notFound(w, req)
			return
		}
		discovery.NewLegacyRootAPIHandler(noAddresses{}, s.discovery.config.Codecs, "/api").ServeHTTP(w, req)
		return
	}
	// The stock handler of a server without aggregation leaves out the version.
	groups := &metav1.APIGroupList{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "APIGroupList"}, Groups: []metav1.APIGroup{}}
	for i := range s.list {
		if s.list[i].name != "" {
			groups.Groups = append(groups.Groups, s.list[i].document())
		}
	}
	responsewriters.WriteObjectNegotiated(s.discovery.config.Codecs, negotiation.DefaultEndpointRestrictions, schema.GroupVersion{}, w, req, http.StatusOK, groups, false)
}

func (s *set) serveGroup(w http.ResponseWriter, req *http.Request, name string) {
	g := s.group(name)
	if g == nil || name == "" {
		s.notFound(w, req)
		return
	}
	discovery.NewAPIGroupHandler(s.discovery.config.Codecs, g.document()).ServeHTTP(w, req)
}

func (s *set) serveVersion(w http.ResponseWriter, req *http.Request, gv schema.GroupVersion) {
	if g := s.group(gv.Group); g != nil {
		for _, v := range g.versions {
			if v.name == gv.Version {
				lister := discovery.APIResourceListerFunc(func() []metav1.APIResource { return v.resources })
				discovery.NewAPIVersionHandler(s.discovery.config.Codecs, gv, lister).ServeHTTP(w, req)
				return
			}
		}
	}
	s.notFound(w, req)
}

func (s *set) group(name string) *apiGroup {
	for i := range s.list {
		if s.list[i].name == name {
			return &s.list[i]
		}
	}
	return nil
}

func (g *apiGroup) document() metav1.APIGroup {
	doc := metav1.APIGroup{Name: g.name}
	for _, v := range g.versions {
		doc.Versions = append(doc.Versions, metav1.GroupVersionForDiscovery{
			GroupVersion: schema.GroupVersion{Group: g.name, Version: v.name}.String(), Version: v.name,
		})
	}
	doc.PreferredVersion = doc.Versions[0]
	return doc
}
