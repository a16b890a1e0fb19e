package core

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/utils/ptr"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/registry/group"
)

// stocked is a store with one object.
type stocked struct {
	rest.Storage
	obj runtime.Object
}

// Get implements rest.Getter.
func (s stocked) Get(_ context.Context, name string, _ *metav1.GetOptions) (runtime.Object, error) {
	if name != "robot" {
		return nil, apierrors.NewNotFound(corev1.Resource("things"), name)
	}
	return s.obj, nil
}

// issuer notes the last token.
type issuer struct {
	last Token
	err  error
}

func (*issuer) Audience(cluster logicalcluster.Name) string {
	return "https://annex/" + string(cluster)
}

func (i *issuer) Issue(_ context.Context, token Token) (string, string, error) {
	i.last = token
	return "signed", "JTI=1", i.err
}

func tokenRequest(change func(*authenticationv1.TokenRequest)) *authenticationv1.TokenRequest {
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: ptr.To[int64](3600)}}
	if change != nil {
		change(request)
	}
	return request
}

// tokensOf returns serviceaccounts/token with an account and a Secret called robot.
func tokensOf(by TokenIssuer, maxLife time.Duration) *tokenREST {
	metadata := metav1.ObjectMeta{Namespace: "default", Name: "robot", UID: "uid"}
	g := &group.Group{Versions: map[string]map[string]rest.Storage{version: {
		"serviceaccounts": stocked{obj: &corev1.ServiceAccount{ObjectMeta: metadata}}, "secrets": stocked{obj: &corev1.Secret{ObjectMeta: metadata}},
	}}}
	ServeTokens(g, by, maxLife)
	return g.Versions[version]["serviceaccounts/token"].(*tokenREST)
}

func TestTokenRequest(t *testing.T) {
	by := &issuer{}
	now := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	ref := func(kind, name, uid string) func(*authenticationv1.TokenRequest) {
		return func(r *authenticationv1.TokenRequest) {
			r.Spec.BoundObjectRef = &authenticationv1.BoundObjectReference{Kind: kind, APIVersion: "v1", Name: name, UID: types.UID(uid)}
		}
	}
	life := func(seconds int64) func(*authenticationv1.TokenRequest) {
		return func(r *authenticationv1.TokenRequest) { r.Spec.ExpirationSeconds = &seconds }
	}
	for name, tc := range map[string]struct {
		change   func(*authenticationv1.TokenRequest)
		name     string // robot unless something else is given
		cluster  logicalcluster.Name
		wantErr  func(error) bool
		wantText string
		warnings int
		seconds  int64 // 3600 unless something else is given
		bound    bool
		audience string // the workspace's own unless something else is given
	}{
		"nothing is asked for":  {},
		"an audience":           {change: func(r *authenticationv1.TokenRequest) { r.Spec.Audiences = []string{"x"} }, audience: "x"},
		"the shortest time":     {change: life(600), seconds: 600},
		"less":                  {change: life(599), wantErr: apierrors.IsInvalid, wantText: "spec.expirationSeconds: Invalid value: 599: may not specify a duration less than 10 minutes"},
		"more than the longest": {change: life(1<<32 + 1), wantErr: apierrors.IsInvalid, wantText: "may not specify a duration larger than 2^32 seconds"},
		"more than the limit":   {change: life(8000), seconds: 7200, warnings: 1},
		"a Secret":              {change: ref("Secret", "robot", ""), bound: true},
		"a Secret with its UID": {change: ref("Secret", "robot", "uid"), bound: true},
		"a Secret with another": {change: ref("Secret", "robot", "x"), wantErr: apierrors.IsConflict},
		"a missing Secret":      {change: ref("Secret", "x", ""), wantErr: apierrors.IsNotFound},
		"a Pod":                 {change: ref("Pod", "robot", ""), wantErr: apierrors.IsBadRequest, wantText: "a workspace has no pods"},
		"a ConfigMap":           {change: ref("ConfigMap", "robot", ""), wantErr: apierrors.IsBadRequest, wantText: "cannot bind token to object of type /v1, Kind=ConfigMap"},
		"another name":          {change: func(r *authenticationv1.TokenRequest) { r.Name = "x" }, wantErr: apierrors.IsInvalid, wantText: "metadata.name"},
		"another namespace":     {change: func(r *authenticationv1.TokenRequest) { r.Namespace = "x" }, wantErr: apierrors.IsInvalid, wantText: "metadata.namespace"},
		"another UID":           {change: func(r *authenticationv1.TokenRequest) { r.UID = "x" }, wantErr: apierrors.IsConflict, wantText: "the UID in the token request (x) does not match the UID of the service account (uid)"},
		"a missing account":     {name: "x", wantErr: apierrors.IsNotFound},
		"endless audiences": {change: func(r *authenticationv1.TokenRequest) {
			r.Spec.Audiences = []string{strings.Repeat("x", maxAudienceBytes+1)}
		}, wantErr: apierrors.IsInvalid, wantText: "spec.audiences"},
		"a cluster of the server":   {cluster: logicalcluster.SystemAdmin, wantErr: apierrors.IsBadRequest},
		"a status that it may set":  {change: func(r *authenticationv1.TokenRequest) { r.Status.Token = "x" }},
		"a time that it may not":    {change: func(r *authenticationv1.TokenRequest) { r.CreationTimestamp = metav1.NewTime(now.Add(-time.Hour)) }},
		"nothing, but no time here": {change: func(r *authenticationv1.TokenRequest) { r.Spec.ExpirationSeconds = nil }, wantErr: apierrors.IsInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			r := tokensOf(by, 2*time.Hour)
			r.now = func() time.Time { return now }
			if tc.name == "" {
				tc.name = "robot"
			}
			if tc.cluster == "" {
				tc.cluster = "a"
			}
			if tc.seconds == 0 {
				tc.seconds = 3600
			}
			if tc.audience == "" {
				tc.audience = "https://annex/a"
			}
			ctx, warnings := withWarnings(in(t.Context(), tc.cluster, "default"))
			obj, err := r.Create(ctx, tc.name, tokenRequest(tc.change), rest.ValidateAllObjectFunc, nil)
			if tc.wantErr != nil {
				if err == nil || !tc.wantErr(err) || !strings.Contains(err.Error(), tc.wantText) {
					t.Errorf("got %v, want an error with %q", err, tc.wantText)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			got := obj.(*authenticationv1.TokenRequest)
			ends := now.Add(time.Duration(tc.seconds) * time.Second)
			if got.Status.Token != "signed" || !got.Status.ExpirationTimestamp.Time.Equal(ends) || *got.Spec.ExpirationSeconds != tc.seconds ||
				got.Name != "robot" || got.Namespace != "default" || got.UID != "uid" || !got.CreationTimestamp.Time.Equal(now) || !slices.Equal(got.Spec.Audiences, []string{tc.audience}) {
				t.Errorf("got %+v", got)
			}
			if last := by.last; last.Cluster != "a" || last.Account.UID != "uid" || (last.Secret != nil) != tc.bound || !last.Issued.Add(last.Life).Equal(ends) || !slices.Equal(last.Audiences, got.Spec.Audiences) {
				t.Errorf("issued %+v", last)
			}
			if n := len(warnings.said); n != tc.warnings {
				t.Errorf("%d warnings", n)
			}
		})
	}
}

func TestTokenRequest_WithoutLimit(t *testing.T) {
	r := tokensOf(&issuer{}, 0)
	obj, err := r.Create(in(t.Context(), "a", "default"), "robot", tokenRequest(func(r *authenticationv1.TokenRequest) { r.Spec.ExpirationSeconds = ptr.To[int64](1 << 32) }), nil, nil)
	if err != nil || *obj.(*authenticationv1.TokenRequest).Spec.ExpirationSeconds != 1<<32 {
		t.Errorf("got %v, %v", obj, err)
	}
}

func TestTokenRequest_NobodySigns(t *testing.T) {
	for _, tc := range []struct {
		err  error
		want func(error) bool
	}{{errors.New("no key"), apierrors.IsInternalError}, {apierrors.NewServiceUnavailable("etcd is away"), apierrors.IsServiceUnavailable}} {
		r := tokensOf(&issuer{err: tc.err}, 0)
		if obj, err := r.Create(in(t.Context(), "a", "default"), "robot", tokenRequest(nil), nil, nil); !tc.want(err) {
			t.Errorf("%v: got %v, %v", tc.err, obj, err)
		}
	}
	// Admission may refuse it.
	no := errors.New("no")
	r := tokensOf(&issuer{}, 0)
	if _, err := r.Create(in(t.Context(), "a", "default"), "robot", tokenRequest(nil), func(context.Context, runtime.Object) error { return no }, nil); !errors.Is(err, no) {
		t.Errorf("got %v", err)
	}
}
