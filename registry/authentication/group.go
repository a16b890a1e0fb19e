package authentication

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	authenticationv1 "k8s.io/api/authentication/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/user"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/klog/v2"

	"github.com/annex-dev/annex/registry/group"
)

// AsksWhoIAm reports whether a request creates a SelfSubjectReview. The answer has nothing to do with the workspace in the URL, so
// everybody gets one, whether they may enter that workspace, and whether it exists or not.
func AsksWhoIAm(verb string, resource schema.GroupResource, subresource string) bool {
	return verb == "create" && subresource == "" && resource == schema.GroupResource{Group: authenticationv1.GroupName, Resource: "selfsubjectreviews"}
}

// NewGroup returns the storage of authentication.k8s.io. who is the authenticator of the server, and audience returns the audience of tokens
// for the API of the workspace that a request is for.
func NewGroup(who authenticator.Request, audience func(context.Context) string) (*group.Group, error) {
	if who == nil || audience == nil {
		return nil, errors.New("building the storage of token reviews: an authenticator and an audience are needed")
	}
	return &group.Group{
		Name: authenticationv1.GroupName,
		Versions: map[string]map[string]rest.Storage{"v1": {
			"selfsubjectreviews": &reviewREST{
				singular: "selfsubjectreview", review: self,
				empty: func() runtime.Object { return &authenticationv1.SelfSubjectReview{} },
			},
			"tokenreviews": &reviewREST{
				singular: "tokenreview", review: tokens{who, audience}.review,
				empty: func() runtime.Object { return &authenticationv1.TokenReview{} },
			},
		}},
	}, nil
}

// reviewREST answers one kind of review.
type reviewREST struct {
	singular string
	empty    func() runtime.Object
	// review returns obj with its status filled in.
	review func(ctx context.Context, obj runtime.Object) (runtime.Object, error)
}

var _ interface {
	rest.Creater
	rest.Scoper
	rest.SingularNameProvider
} = &reviewREST{}

// New implements rest.Storage.
func (r *reviewREST) New() runtime.Object { return r.empty() }

// Destroy implements rest.Storage.
func (r *reviewREST) Destroy() {}

// NamespaceScoped implements rest.Scoper.
func (r *reviewREST) NamespaceScoped() bool { return false }

// GetSingularName implements rest.SingularNameProvider.
func (r *reviewREST) GetSingularName() string { return r.singular }

// Create implements rest.Creater.
func (r *reviewREST) Create(ctx context.Context, obj runtime.Object, validate rest.ValidateObjectFunc, _ *metav1.CreateOptions) (runtime.Object, error) {
	if validate != nil {
		if err := validate(ctx, obj.DeepCopyObject()); err != nil {
			return nil, err
		}
	}
	return r.review(ctx, obj)
}

// self tells users who they are.
func self(ctx context.Context, obj runtime.Object) (runtime.Object, error) {
	if _, ok := obj.(*authenticationv1.SelfSubjectReview); !ok {
		return nil, unexpected(obj)
	}
	u, ok := genericapirequest.UserFrom(ctx)
	if !ok {
		return nil, apierrors.NewBadRequest("no user present on request")
	}
	return &authenticationv1.SelfSubjectReview{
		ObjectMeta: metav1.ObjectMeta{CreationTimestamp: metav1.Now()},
		Status:     authenticationv1.SelfSubjectReviewStatus{UserInfo: info(u)},
	}, nil
}

type tokens struct {
	who      authenticator.Request
	audience func(context.Context) string
}

// review asks the authenticator about a token. A bad token is an answer, not an error.
func (t tokens) review(ctx context.Context, obj runtime.Object) (runtime.Object, error) {
	review, ok := obj.(*authenticationv1.TokenReview)
	if !ok {
		return nil, unexpected(obj)
	}
	if review.Namespace != "" {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("namespace is not allowed on this type: %v", review.Namespace))
	}
	if review.Spec.Token == "" {
		return nil, apierrors.NewBadRequest("token is required for TokenReview in authentication")
	}
	wanted := authenticator.Audiences(review.Spec.Audiences)
	asking := ctx
	if len(wanted) > 0 {
		asking = authenticator.WithAudiences(ctx, wanted)
	}
	probe := (&http.Request{Header: http.Header{"Authorization": {"Bearer " + review.Spec.Token}}}).WithContext(asking)
	resp, ok, err := t.who.AuthenticateRequest(probe)
	out := review.DeepCopy()
	out.Status = authenticationv1.TokenReviewStatus{}
	switch {
	case err != nil:
		if status := undecided(err); status != nil {
			return nil, status
		}
		klog.FromContext(ctx).V(4).Info("Token is not valid", "reason", err.Error())
		out.Status.Error = "invalid bearer token"
	case ok && resp.User != nil && resp.User.GetName() != user.Anonymous:
		valid := resp.Audiences
		if len(wanted) > 0 {
			valid = valid.Intersect(wanted)
		} else if len(valid) == 0 {
			valid = authenticator.Audiences{t.audience(ctx)}
		}
		if len(valid) == 0 {
			out.Status.Error = "invalid bearer token"
			break
		}
		out.Status.Authenticated = true
		out.Status.User = info(resp.User)
		out.Status.Audiences = valid
	}
	return out, nil
}

// undecided returns the status within err, which may be one of several, that says that nobody knows whether the token is valid; nil if there
// is none.
func undecided(err error) error {
	if several, ok := err.(utilerrors.Aggregate); ok { //nolint:errorlint // it cannot be unwrapped
		for _, one := range several.Errors() {
			if status := undecided(one); status != nil {
				return status
			}
		}
		return nil
	}
	var status *apierrors.StatusError
	if errors.As(err, &status) && apierrors.IsServiceUnavailable(status) {
		return status
	}
	return nil
}

func info(u user.Info) authenticationv1.UserInfo {
	out := authenticationv1.UserInfo{Username: u.GetName(), UID: u.GetUID(), Groups: u.GetGroups()}
	for key, values := range u.GetExtra() {
		if out.Extra == nil {
			out.Extra = map[string]authenticationv1.ExtraValue{}
		}
		out.Extra[key] = values
	}
	return out
}

func unexpected(obj runtime.Object) error {
	return apierrors.NewBadRequest(fmt.Sprintf("not a review of the expected kind: %T", obj))
}
