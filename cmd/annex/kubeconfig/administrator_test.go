package kubeconfig

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

const whoAmI = "/apis/authentication.k8s.io/v1/selfsubjectreviews"

// serveIdentities is a server at which a user is in a group below each prefix of the URL. Where the group is empty, the user may not ask.
func serveIdentities(t *testing.T, groups map[string]string) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.Header.Get("Impersonate-User") != "" && strings.HasSuffix(r.URL.Path, whoAmI) {
			t.Errorf("%s is asked who somebody else is", r.URL.Path)
		}
		group, known := groups[strings.TrimSuffix(r.URL.Path, whoAmI)]
		switch {
		case !known || !strings.HasSuffix(r.URL.Path, whoAmI):
			http.NotFound(w, r)
		case group == "":
			w.WriteHeader(http.StatusForbidden)
			_, _ = w.Write([]byte(`{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Forbidden","code":403}`))
		default:
			review := authenticationv1.SelfSubjectReview{Status: authenticationv1.SelfSubjectReviewStatus{UserInfo: authenticationv1.UserInfo{Username: "ann", Groups: []string{"system:authenticated", group}}}}
			review.APIVersion, review.Kind = "authentication.k8s.io/v1", "SelfSubjectReview"
			w.WriteHeader(http.StatusCreated)
			_ = json.NewEncoder(w).Encode(review)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func TestMake_AnAdministratorsCredentialsAreNotCopied(t *testing.T) {
	tokenFile := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(tokenFile, []byte("t"), 0o600); err != nil {
		t.Fatal(err)
	}
	const root, throughHost = "/clusters/root", "/apis/tenancy.kcp.io/v1alpha1/workspaces/root/proxy"
	for name, test := range map[string]struct {
		groups map[string]string
		// at is the path of the source's server.
		at string
		// elsewhere makes --server another server, which knows the user by this group.
		elsewhere string
		user      clientcmdapi.AuthInfo
		o         Options
		wantErr   string
	}{
		"somebody":                       {groups: map[string]string{root: "teams"}, at: root, user: clientcmdapi.AuthInfo{Token: "t"}},
		"an administrator":               {groups: map[string]string{root: "system:kcp:admin"}, at: root, user: clientcmdapi.AuthInfo{Token: "t"}, wantErr: `"ann" in the group "system:kcp:admin"`},
		"and in another workspace":       {groups: map[string]string{root: "system:masters"}, at: "/clusters/root:org", user: clientcmdapi.AuthInfo{Token: "t"}, wantErr: "system:masters"},
		"who says so":                    {groups: map[string]string{root: "system:kcp:admin"}, at: root, user: clientcmdapi.AuthInfo{Token: "t"}, o: Options{CopyAdministrator: true}},
		"who acts for another":           {groups: map[string]string{root: "system:kcp:admin"}, at: root, user: clientcmdapi.AuthInfo{Token: "t", Impersonate: "zoe", ImpersonateGroups: []string{"g"}}, wantErr: "system:kcp:admin"},
		"with a token file":              {groups: map[string]string{root: "system:kcp:admin"}, at: root, user: clientcmdapi.AuthInfo{TokenFile: tokenFile}},
		"for somebody else":              {groups: map[string]string{root: "system:kcp:admin"}, at: root, user: clientcmdapi.AuthInfo{Token: "t"}, o: Options{User: &clientcmdapi.AuthInfo{Token: "other"}}},
		"an administrator of the host":   {groups: map[string]string{throughHost: "teams", "": "system:masters"}, at: inOrg, user: clientcmdapi.AuthInfo{Token: "t"}, wantErr: "system:masters"},
		"a user of the host":             {groups: map[string]string{throughHost: "teams", "": "teams"}, at: inOrg, user: clientcmdapi.AuthInfo{Token: "t"}},
		"a user of one workspace":        {groups: map[string]string{throughHost: "", "": "teams"}, at: inOrg, user: clientcmdapi.AuthInfo{Token: "t"}},
		"a server that does not say":     {at: root, user: clientcmdapi.AuthInfo{Token: "t"}, wantErr: "finding out whether these are the credentials of an administrator"},
		"who set the host up":            {groups: map[string]string{throughHost: "teams", "": "kubeadm:cluster-admins"}, at: inOrg, user: clientcmdapi.AuthInfo{Token: "t"}, wantErr: "kubeadm:cluster-admins"},
		"the host's, for another server": {groups: map[string]string{"": "system:masters"}, elsewhere: "teams", user: clientcmdapi.AuthInfo{Token: "t"}, wantErr: "system:masters"},
		"a user's, for another server":   {groups: map[string]string{"": "teams"}, elsewhere: "teams", user: clientcmdapi.AuthInfo{Token: "t"}},
		"another server's administrator": {groups: map[string]string{"": "teams"}, elsewhere: "system:kcp:admin", user: clientcmdapi.AuthInfo{Token: "t"}, wantErr: "system:kcp:admin"},
	} {
		t.Run(name, func(t *testing.T) {
			source := sourceAt(serveIdentities(t, test.groups) + test.at)
			source.User = &test.user
			o := test.o
			o.Target = Target{Workspace: "root:org:team"}
			if test.elsewhere != "" {
				o.Server = serveIdentities(t, map[string]string{root: test.elsewhere})
			}
			_, err := Make(t.Context(), source, o)
			if (err != nil) != (test.wantErr != "") || (err != nil && !strings.Contains(err.Error(), test.wantErr)) {
				t.Fatalf("%v, want %q", err, test.wantErr)
			}
			if err != nil && !strings.Contains(err.Error(), "set --"+CopyAdministratorFlag) {
				t.Errorf("%v does not say how to copy them all the same", err)
			}
		})
	}
}
