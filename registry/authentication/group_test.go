package authentication

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/user"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"
)

// door lets in the token good, and those without credentials as anonymous.
var door = authenticator.RequestFunc(func(r *http.Request) (*authenticator.Response, bool, error) {
	switch r.Header.Get("Authorization") {
	case "Bearer good":
		return &authenticator.Response{User: &user.DefaultInfo{Name: "alice", UID: "1", Groups: []string{"dev"}, Extra: map[string][]string{"k": {"v"}}}}, true, nil
	case "Bearer bound":
		audiences, given := authenticator.AudiencesFrom(r.Context())
		if !given {
			audiences = authenticator.Audiences{"here"}
		}
		audiences = authenticator.Audiences{"here", "there"}.Intersect(audiences)
		return &authenticator.Response{User: &user.DefaultInfo{Name: "robot"}, Audiences: audiences}, true, nil
	case "Bearer undecided":
		return nil, false, utilerrors.NewAggregate([]error{errors.New("no"), fmt.Errorf("checking: %w", apierrors.NewServiceUnavailable("etcd is away"))})
	case "Bearer odd":
		return &authenticator.Response{User: &user.DefaultInfo{Name: user.Anonymous}}, true, nil
	}
	return nil, false, errors.New("the backend at 10.0.0.1 says no")
})

func TestReviews(t *testing.T) {
	g, err := NewGroup(door, func(context.Context) string { return "here" })
	if err != nil {
		t.Fatal(err)
	}
	ctx := genericapirequest.WithUser(t.Context(), &user.DefaultInfo{Name: "bob", Groups: []string{"ops"}})
	post := func(resource string, obj runtime.Object) (runtime.Object, error) {
		return g.Versions["v1"][resource].(rest.Creater).Create(ctx, obj, rest.ValidateAllObjectFunc, nil)
	}

	out, err := post("selfsubjectreviews", &authenticationv1.SelfSubjectReview{})
	if err != nil {
		t.Fatal(err)
	}
	if got := out.(*authenticationv1.SelfSubjectReview).Status.UserInfo; got.Username != "bob" || !slices.Equal(got.Groups, []string{"ops"}) {
		t.Errorf("I am %v", got)
	}

	for token, want := range map[string]authenticationv1.TokenReviewStatus{
		"good": {Authenticated: true, User: authenticationv1.UserInfo{Username: "alice"}},
		"bad":  {Error: "invalid bearer token"},
		"odd":  {},
	} {
		out, err := post("tokenreviews", &authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: token}})
		if err != nil {
			t.Fatal(err)
		}
		got := out.(*authenticationv1.TokenReview).Status
		if got.Authenticated != want.Authenticated || got.User.Username != want.User.Username || got.Error != want.Error {
			t.Errorf("%s: status = %+v, want %+v", token, got, want)
		}
	}
	if _, err := post("tokenreviews", &authenticationv1.TokenReview{}); !apierrors.IsBadRequest(err) {
		t.Errorf("without a token: %v", err)
	}
	if _, err := NewGroup(nil, nil); err == nil {
		t.Error("no authenticator: no error")
	}
}

func TestTokenReview_Audiences(t *testing.T) {
	g, err := NewGroup(door, func(context.Context) string { return "here" })
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		token        string
		wanted, want []string // nothing is wanted of a token that is not valid
	}{
		"a token for anybody, nobody asks":     {"good", nil, []string{"here"}},
		"a token for anybody, somebody does":   {"good", []string{"here"}, nil}, // the authenticator does not say that it has looked
		"a bound token, nobody asks":           {"bound", nil, []string{"here"}},
		"a bound token, for somebody else":     {"bound", []string{"there", "nowhere"}, []string{"there"}},
		"a bound token, for whom it is not":    {"bound", []string{"nowhere"}, nil},
		"a bound token, in the wanted order":   {"bound", []string{"there", "here"}, []string{"there", "here"}},
		"a bad token for whom it might be for": {"bad", []string{"there"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			review := &authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: tc.token, Audiences: tc.wanted}}
			out, err := g.Versions["v1"]["tokenreviews"].(rest.Creater).Create(t.Context(), review, rest.ValidateAllObjectFunc, nil)
			if err != nil {
				t.Fatal(err)
			}
			got := out.(*authenticationv1.TokenReview).Status
			if got.Authenticated != (tc.want != nil) || !slices.Equal(got.Audiences, tc.want) || (got.User.Username != "") != got.Authenticated {
				t.Errorf("status = %+v, want audiences %v", got, tc.want)
			}
		})
	}
}

// Whoever asks would take the user for somebody else.
func TestTokenReview_NobodyKnows(t *testing.T) {
	g, err := NewGroup(door, func(context.Context) string { return "here" })
	if err != nil {
		t.Fatal(err)
	}
	review := &authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: "undecided"}}
	if out, err := g.Versions["v1"]["tokenreviews"].(rest.Creater).Create(t.Context(), review, nil, nil); !apierrors.IsServiceUnavailable(err) {
		t.Errorf("answered %v, %v", out, err)
	}
}
