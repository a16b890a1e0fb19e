package authentication

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"sync"

	authenticationv1 "k8s.io/api/authentication/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/endpoints/handlers/responsewriters"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/registry/rbac/policy"
	"github.com/annex-dev/annex/server/virtual"
)

// errMissing says that the chain was put together wrongly.
var errMissing = errors.New("the request does not say who makes it")

type requestKey struct{}

// requestor is who makes a request, and whether in the name of somebody else.
type requestor struct {
	impersonates bool

	mu   sync.Mutex
	user user.Info
}

// WithRequestor remembers who makes the request for WithImpersonationScope. It belongs outside of the stock chain, which
// replaces the user in the context and removes the headers when somebody is impersonated.
func WithRequestor(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who := &requestor{impersonates: r.Header.Get(authenticationv1.ImpersonateUserHeader) != ""}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), requestKey{}, who)))
	})
}

// noteRequestor records u as who makes the request; the first call counts, since a TokenReview authenticates again.
func noteRequestor(ctx context.Context, u user.Info) {
	who, ok := ctx.Value(requestKey{}).(*requestor)
	if !ok {
		return
	}
	who.mu.Lock()
	defer who.mu.Unlock()
	if who.user == nil {
		who.user = u
	}
}

// WithImpersonationScope confines an identity that is impersonated by somebody below system:masters to the cluster that the
// request is for. RBAC of that cluster has allowed it, which is written by tenants and can vouch for nobody elsewhere: what a
// request has checked in other clusters - binding an API, using a workspace type - is refused as to an anonymous user. It
// belongs inside of the stock chain, behind authorization, and refuses to work without WithRequestor.
func WithImpersonationScope(next http.Handler, codecs runtime.NegotiatedSerializer) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx := r.Context()
		who, ok := ctx.Value(requestKey{}).(*requestor)
		current, authenticated := genericapirequest.UserFrom(ctx)
		if !ok || !authenticated {
			err := apierrors.NewInternalError(errMissing)
			responsewriters.ErrorNegotiated(err, codecs, schema.GroupVersion{Version: "v1"}, w, r)
			return
		}
		who.mu.Lock()
		impersonator := who.user
		who.mu.Unlock()
		cluster := clusterOf(ctx)
		if who.impersonates && !policy.Master(impersonator, cluster) {
			r = r.WithContext(genericapirequest.WithUser(ctx, confine(current, cluster)))
		}
		next.ServeHTTP(w, r)
	})
}

// clusterOf returns the cluster by whose RBAC a request was authorized; empty when it is for no particular one.
func clusterOf(ctx context.Context) logicalcluster.Name {
	if endpoint, ok := virtual.FromContext(ctx); ok {
		return endpoint.Cluster
	}
	cluster, _ := logicalcluster.FromContext(ctx)
	return cluster
}

// confine returns u with one more scope.
func confine(u user.Info, cluster logicalcluster.Name) user.Info {
	extra := maps.Clone(u.GetExtra())
	if extra == nil {
		extra = map[string][]string{}
	}
	scopes := extra[policy.ScopesKey]
	extra[policy.ScopesKey] = append(scopes[:len(scopes):len(scopes)], policy.Scope(cluster))
	return &user.DefaultInfo{Name: u.GetName(), UID: u.GetUID(), Groups: u.GetGroups(), Extra: extra}
}
