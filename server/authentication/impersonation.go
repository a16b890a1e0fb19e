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

// errMissing means that the chain was assembled incorrectly.
var errMissing = errors.New("the request does not say who makes it")

type requestKey struct{}

// requestor is the user of a request, and whether the user impersonates somebody.
type requestor struct {
	impersonates bool

	mu   sync.Mutex
	user user.Info
}

// WithRequestor records the user of the request for WithImpersonationScope. Put it outside the stock chain, because the chain replaces
// the user in the context and removes the headers when somebody is impersonated.
func WithRequestor(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who := &requestor{impersonates: r.Header.Get(authenticationv1.ImpersonateUserHeader) != ""}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), requestKey{}, who)))
	})
}

// Requestor returns the user of the request of ctx, whoever may be impersonated; false while nobody is authenticated.
func Requestor(ctx context.Context) (user.Info, bool) {
	who, ok := ctx.Value(requestKey{}).(*requestor)
	if !ok {
		return nil, false
	}
	who.mu.Lock()
	defer who.mu.Unlock()
	return who.user, who.user != nil
}

// Itself reports whether u, the user in ctx, is who the request was authenticated as: nobody is impersonated, and nobody acts as somebody else for
// another reason. It is false if that is not known.
func Itself(ctx context.Context, u user.Info) bool {
	who, ok := ctx.Value(requestKey{}).(*requestor)
	if !ok || u == nil {
		return false
	}
	who.mu.Lock()
	defer who.mu.Unlock()
	return !who.impersonates && who.user != nil && who.user.GetName() == u.GetName() && who.user.GetUID() == u.GetUID()
}

// noteRequestor records u as the user of the request. Only the first call counts, because a TokenReview authenticates again.
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

// WithImpersonationScope confines an impersonated identity to the cluster of the request, unless system:masters impersonates it. RBAC
// of that cluster allowed the impersonation. Tenants write this RBAC, so it must not count elsewhere: permission checks in other
// clusters, such as binding an API or using a workspace type, are refused as for an anonymous user. Put it inside the stock chain,
// after authorization. It refuses every request without WithRequestor.
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
		if who.confines(ctx) {
			r = r.WithContext(genericapirequest.WithUser(ctx, confine(current, ClusterOf(ctx))))
		}
		next.ServeHTTP(w, r)
	})
}

// Confined returns u, the user of the request of ctx, as what stands behind WithImpersonationScope sees it.
func Confined(ctx context.Context, u user.Info) user.Info {
	if who, ok := ctx.Value(requestKey{}).(*requestor); ok && who.confines(ctx) {
		return confine(u, ClusterOf(ctx))
	}
	return u
}

// confines reports whether the request impersonates somebody whose identity is valid in its cluster only.
func (r *requestor) confines(ctx context.Context) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.impersonates && !policy.Master(r.user, ClusterOf(ctx))
}

// ClusterOf returns the cluster whose RBAC authorized a request; empty if the request is not for one cluster.
func ClusterOf(ctx context.Context) logicalcluster.Name {
	if endpoint, ok := virtual.FromContext(ctx); ok {
		return endpoint.Cluster
	}
	cluster, _ := logicalcluster.FromContext(ctx)
	return cluster
}

// confine returns u with one more scope. Warrants, which have scopes of their own, are none that the cluster could give.
func confine(u user.Info, cluster logicalcluster.Name) user.Info {
	extra := maps.Clone(u.GetExtra())
	if extra == nil {
		extra = map[string][]string{}
	}
	delete(extra, policy.WarrantKey)
	scopes := extra[policy.ScopesKey]
	extra[policy.ScopesKey] = append(scopes[:len(scopes):len(scopes)], policy.Scope(cluster))
	return &user.DefaultInfo{Name: u.GetName(), UID: u.GetUID(), Groups: u.GetGroups(), Extra: extra}
}
