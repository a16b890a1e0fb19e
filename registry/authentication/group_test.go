package authentication

import (
	"errors"
	"net/http"
	"slices"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
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
	case "Bearer odd":
		return &authenticator.Response{User: &user.DefaultInfo{Name: user.Anonymous}}, true, nil
	}
	return nil, false, errors.New("the backend at 10.0.0.1 says no")
})

func TestReviews(t *testing.T) {
	g, err := NewGroup(door)
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
	if _, err := post("tokenreviews", &authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: "good", Audiences: []string{"x"}}}); !apierrors.IsInvalid(err) {
		t.Errorf("with audiences: %v", err)
	}
	if _, err := NewGroup(nil); err == nil {
		t.Error("no authenticator: no error")
	}
}
