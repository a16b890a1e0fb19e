package discovery

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"

	apidiscoveryv2 "k8s.io/api/apidiscovery/v2"
	apidiscoveryv2beta1 "k8s.io/api/apidiscovery/v2beta1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	apidiscoveryv2conversion "k8s.io/apiserver/pkg/apis/apidiscovery/v2"
	"k8s.io/apiserver/pkg/endpoints"
	"k8s.io/apiserver/pkg/endpoints/discovery/aggregated"
	"k8s.io/apiserver/pkg/endpoints/handlers/negotiation"
)

// aggregate is a document that holds all groups, and its entity tag.
type aggregate struct {
	list *apidiscoveryv2.APIGroupDiscoveryList
	etag string
	err  error
}

func newAggregatedCodecs() (runtime.NegotiatedSerializer, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		apidiscoveryv2.AddToScheme, apidiscoveryv2beta1.AddToScheme, apidiscoveryv2conversion.RegisterConversions,
	} {
		if err := add(scheme); err != nil {
			return nil, fmt.Errorf("registering the kinds of aggregated discovery: %w", err)
		}
	}
	return serializer.NewCodecFactory(scheme), nil
}

// wantsAggregated reports whether the client asks for all groups in one document.
func (s *set) wantsAggregated(req *http.Request) bool {
	mediaType, _ := negotiation.NegotiateMediaTypeOptions(req.Header.Get("Accept"), s.discovery.aggregated.SupportedMediaTypes(), aggregated.DiscoveryEndpointRestrictions)
	return aggregated.IsAggregatedDiscoveryGVK(mediaType.Convert)
}

// serveAggregated answers /api (core) or /apis with all groups in one document.
func (s *set) serveAggregated(w http.ResponseWriter, req *http.Request, core bool) {
	mediaType, _, err := negotiation.NegotiateOutputMediaType(req, s.discovery.aggregated, aggregated.DiscoveryEndpointRestrictions)
	if err != nil || mediaType.Convert == nil {
		s.fail(w, req, negotiation.NewNotAcceptableError([]string{"application/json"}))
		return
	}
	s.aggregateOnce.Do(func() {
		var groups, legacy []apiGroup
		for _, g := range s.list {
			if g.name == "" {
				legacy = append(legacy, g)
			} else {
				groups = append(groups, g)
			}
		}
		s.aggregate, s.aggregateV = newAggregate(groups), newAggregate(legacy)
	})
	doc := s.aggregate
	if core {
		doc = s.aggregateV
	}
	if doc.err != nil {
		s.fail(w, req, doc.err)
		return
	}
	// While an answer is written, its encoder sets version and kind of the list, and takes them away afterwards.
	own := *doc.list
	aggregated.ServeHTTPWithETag(&own, doc.etag, mediaType.Convert.GroupVersion(), s.discovery.aggregated, w, req)
}

func newAggregate(groups []apiGroup) aggregate {
	list := &apidiscoveryv2.APIGroupDiscoveryList{Items: []apidiscoveryv2.APIGroupDiscovery{}}
	for _, g := range groups {
		item := apidiscoveryv2.APIGroupDiscovery{ObjectMeta: metav1.ObjectMeta{Name: g.name}}
		for _, v := range g.versions {
			resources, err := endpoints.ConvertGroupVersionIntoToDiscovery(v.resources)
			if err != nil {
				return aggregate{err: fmt.Errorf("describing %s/%s: %w", g.name, v.name, err)}
			}
			complete(resources, schema.GroupVersion{Group: g.name, Version: v.name})
			item.Versions = append(item.Versions, apidiscoveryv2.APIVersionDiscovery{
				Version: v.name, Resources: resources, Freshness: apidiscoveryv2.DiscoveryFreshnessCurrent,
			})
		}
		list.Items = append(list.Items, item)
	}
	content, err := json.Marshal(list)
	if err != nil {
		return aggregate{err: fmt.Errorf("hashing discovery: %w", err)}
	}
	sum := sha256.Sum256(content)
	return aggregate{list: list, etag: hex.EncodeToString(sum[:])}
}

// complete fills in group and version of kinds, which an APIResource leaves out where they are those of its list.
func complete(resources []apidiscoveryv2.APIResourceDiscovery, gv schema.GroupVersion) {
	fill := func(kind *metav1.GroupVersionKind) {
		if kind != nil && kind.Kind != "" && kind.Group == "" && kind.Version == "" {
			kind.Group, kind.Version = gv.Group, gv.Version
		}
	}
	for i := range resources {
		fill(resources[i].ResponseKind)
		for j := range resources[i].Subresources {
			fill(resources[i].Subresources[j].ResponseKind)
		}
	}
}
