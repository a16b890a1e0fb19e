package elsewhere

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apiserver/pkg/audit"
	"k8s.io/apiserver/pkg/authentication/user"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/registry/catalog"
	"github.com/annex-dev/annex/registry/lasting"
	"github.com/annex-dev/annex/server/fairness"
	"github.com/annex-dev/annex/server/virtual/forward"
)

// AuditTarget is the audit annotation with the URL of the endpoint that a request was sent to.
const AuditTarget = "annex.dev/virtual-storage"

// The extra fields of the user by which another server learns what a request is for. No user has any in this domain.
const (
	extraDomain        = "virtual.annex.dev/"
	extraExportCluster = extraDomain + "export-cluster"
	extraExport        = extraDomain + "export"
	extraConsumer      = extraDomain + "consumer"
)

// send sends a request, or returns what to answer with.
func (e *Endpoint) send(w http.ResponseWriter, req *http.Request, info *genericapirequest.RequestInfo, consumer logicalcluster.Name,
	served *catalog.Served, version *apiextensionsv1.CustomResourceDefinitionVersion, from *source) error {
	ctx, done := lasting.Ending(req.Context())
	defer done()
	gr, export := served.GroupResource(), served.Source.Export
	u, _ := genericapirequest.UserFrom(ctx)
	if !e.Itself(ctx, u) {
		return apierrors.NewForbidden(gr, info.Name, fmt.Errorf("another server serves the resource, and nobody is impersonated there"))
	}
	who, ok := forward.Beyond(u)
	if !ok {
		return apierrors.NewForbidden(gr, info.Name, fmt.Errorf("another server serves the resource, and user %q is known to this one only", u.GetName()))
	}
	hops, err := forward.Check(req, info, gr)
	if err != nil {
		return err
	}
	audit.AddAuditAnnotation(ctx, AuditTarget, from.target.String())
	if info.Verb == "watch" {
		defer e.follow(from.slices, export.Cluster)()
	}
	to := forward.To{
		Target: within(from.target, consumer), As: introduced(who, export, consumer), Hops: hops, Peer: described(served),
		Around: func(next http.RoundTripper) http.RoundTripper { return onAccount{next, export.Cluster} },
	}
	req = req.WithContext(ctx)
	if columns := newColumns(req, info, version, e.Forwarder.Codecs); columns != nil {
		req, to.Show = columns.request(req), columns.show
	}
	e.Forwarder.Send(w, req, to)
	return nil
}

// within returns the URL of a consumer below the URL of an endpoint.
func within(target *url.URL, consumer logicalcluster.Name) *url.URL {
	at := *target
	at.RawPath = target.EscapedPath() + "/clusters/" + url.PathEscape(consumer.String())
	at.Path = target.Path + "/clusters/" + consumer.String()
	return &at
}

// introduced returns who with the fields that say what the request is for.
func introduced(who user.Info, export client.Key, consumer logicalcluster.Name) user.Info {
	extra := maps.Clone(who.GetExtra())
	// Headers do not tell large letters from small ones.
	maps.DeleteFunc(extra, func(key string, _ []string) bool { return strings.HasPrefix(strings.ToLower(key), extraDomain) })
	if extra == nil {
		extra = map[string][]string{}
	}
	extra[extraExportCluster], extra[extraExport], extra[extraConsumer] = []string{export.Cluster.String()}, []string{export.Name}, []string{consumer.String()}
	return &user.DefaultInfo{Name: who.GetName(), UID: who.GetUID(), Groups: who.GetGroups(), Extra: extra}
}

// onAccount sends requests that count against a provider while they wait for the answer.
type onAccount struct {
	http.RoundTripper
	provider logicalcluster.Name
}

// RoundTrip implements http.RoundTripper.
func (o onAccount) RoundTrip(req *http.Request) (*http.Response, error) {
	var answer *http.Response
	err := fairness.OnAccount(req.Context(), o.provider, func() (err error) {
		answer, err = o.RoundTripper.RoundTrip(req)
		return err
	})
	if err != nil && answer != nil {
		_ = answer.Body.Close()
	}
	if err != nil {
		return nil, err
	}
	return answer, nil
}
