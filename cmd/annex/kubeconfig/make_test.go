package kubeconfig

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// answers maps a path to the body of a 200; other paths are 404, or 403 when the body is empty.
func serve(t *testing.T, answers map[string]string) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, known := answers[r.URL.Path]
		switch {
		case !known:
			http.NotFound(w, r)
		case body == "":
			http.Error(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Forbidden","code":403}`, http.StatusForbidden)
		default:
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write([]byte(body))
		}
	}))
	t.Cleanup(server.Close)
	return server.URL
}

const (
	discovery = "/apis/tenancy.kcp.io/v1alpha1"
	livez     = "/clusters/root/livez"
	child     = `{"spec":{"URL":"https://elsewhere/clusters/root:org:team"}}`
	inOrg     = "/apis/tenancy.kcp.io/v1alpha1/workspaces/root:org/proxy"
)

func sourceAt(server string) *Source {
	return &Source{
		Cluster: &clientcmdapi.Cluster{Server: server, ProxyURL: ""}, User: &clientcmdapi.AuthInfo{Token: "t", Impersonate: "zoe", ImpersonateGroups: []string{"g"}},
		UserName: "me", merged: *clientcmdapi.NewConfig(),
	}
}

func TestMake_WhereItLeads(t *testing.T) {
	host := map[string]string{discovery: "{}", "/apis/tenancy.kcp.io/v1alpha1/workspaces/team": child, inOrg + "/apis/tenancy.kcp.io/v1alpha1/workspaces/team": child, "/apis/tenancy.kcp.io/v1alpha1/workspaces/new": `{"spec":{}}`, "/apis/tenancy.kcp.io/v1alpha1/workspaces/secret": ""}
	own := map[string]string{
		livez: "ok", discovery: "{}", "/clusters/root/apis/tenancy.kcp.io/v1alpha1/workspaces/team": child, "/clusters/root:org/apis/tenancy.kcp.io/v1alpha1/workspaces/team": child,
		"/clusters/root:p/apis/apis.kcp.io/v1alpha2/apiexports/widgets": `{"metadata":{"annotations":{"kcp.io/cluster":"2f8kq1z0c7a9x3bd"}}}`,
		"/clusters/root/apis/apis.kcp.io/v1alpha2/apiexports/widgets":   `{"metadata":{"annotations":{"kcp.io/cluster":"root"}}}`,
	}
	behind := map[string]string{}
	for path, body := range host {
		behind["/k8s/clusters/c-1"+path] = body
	}
	for name, test := range map[string]struct {
		answers map[string]string
		// at is the path of the source's server.
		at                string
		workspace, export string
		// want is the path of the new server, wantName the name of the context.
		want, wantName string
		wantErr        string
	}{
		"through the host":                          {answers: host, workspace: "root:org:team", want: "/apis/tenancy.kcp.io/v1alpha1/workspaces/root:org:team/proxy", wantName: "root:org:team"},
		"through the host, a child":                 {answers: host, workspace: "team", want: "/apis/tenancy.kcp.io/v1alpha1/workspaces/root:org:team/proxy", wantName: "root:org:team"},
		"from a workspace":                          {answers: host, at: inOrg, workspace: "root:x", want: "/apis/tenancy.kcp.io/v1alpha1/workspaces/root:x/proxy", wantName: "root:x"},
		"from a workspace, a child":                 {answers: host, at: inOrg, workspace: "team", want: "/apis/tenancy.kcp.io/v1alpha1/workspaces/root:org:team/proxy", wantName: "root:org:team"},
		"a child that is not there":                 {answers: host, workspace: "none", wantErr: `there is not a workspace "none"`},
		"a child that is not Ready":                 {answers: host, workspace: "new", wantErr: "wait until it is Ready"},
		"a child that may not be read":              {answers: host, workspace: "secret", wantErr: "use its absolute path"},
		"an export through the host":                {answers: host, export: "root:p:widgets", want: "/apis/apis.kcp.io/v1alpha2/apiexports/root:p:widgets/proxy/clusters/*", wantName: "apiexport/root:p:widgets"},
		"an export of the host's workspace":         {answers: host, export: "widgets", want: "/apis/apis.kcp.io/v1alpha2/apiexports/widgets/proxy/clusters/*", wantName: "apiexport/widgets"},
		"an export of the current workspace":        {answers: host, at: inOrg, export: "widgets", want: "/apis/apis.kcp.io/v1alpha2/apiexports/root:org:widgets/proxy/clusters/*", wantName: "apiexport/root:org:widgets"},
		"an export beside a child's name":           {answers: host, at: "/apis/tenancy.kcp.io/v1alpha1/workspaces/team/proxy", export: "widgets", wantErr: "use <path>:widgets"},
		"a host behind another proxy":               {answers: behind, at: "/k8s/clusters/c-1", workspace: "root:a", want: "/k8s/clusters/c-1/apis/tenancy.kcp.io/v1alpha1/workspaces/root:a/proxy", wantName: "root:a"},
		"the own door":                              {answers: own, workspace: "root:org:team", want: "/clusters/root:org:team", wantName: "root:org:team"},
		"the own door, a child of root":             {answers: own, workspace: "team", want: "/clusters/root:org:team", wantName: "root:org:team"},
		"the own door, from a workspace":            {answers: own, at: "/clusters/root:org", workspace: "team", want: "/clusters/root:org:team", wantName: "root:org:team"},
		"the own door, an export":                   {answers: own, at: "/clusters/root", export: "root:p:widgets", want: "/services/apiexport/2f8kq1z0c7a9x3bd/widgets/clusters/*", wantName: "apiexport/root:p:widgets"},
		"the own door, an export of root":           {answers: own, at: "/clusters/root", export: "widgets", want: "/services/apiexport/root/widgets/clusters/*", wantName: "apiexport/root:widgets"},
		"the own door, an export that is not there": {answers: own, at: "/clusters/root", export: "none", wantErr: `reading the APIExport "none"`},
		"a cluster without Annex":                   {answers: map[string]string{"/version": "{}"}, workspace: "root:a", wantErr: "Annex is not installed"},
	} {
		t.Run(name, func(t *testing.T) {
			server := serve(t, test.answers)
			target, err := ParseWorkspace(test.workspace)
			if test.export != "" {
				target, err = ParseExport(test.export)
			}
			if err != nil {
				t.Fatal(err)
			}
			entry, err := Make(t.Context(), sourceAt(server+test.at), Options{Target: target, CopyAdministrator: true})
			if test.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), test.wantErr) {
					t.Fatalf("%+v, %v; want %q", entry, err, test.wantErr)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			config := entry.Config()
			if got := config.Clusters[entry.Name].Server; entry.Name != test.wantName || got != server+test.want || config.CurrentContext != test.wantName {
				t.Errorf("%s leads to %s, want %s to %s", entry.Name, got, test.wantName, test.want)
			}
			// Nobody answers there in this test.
			if !strings.Contains(entry.Warning, "there is nothing at") {
				t.Errorf("warning: %s", entry.Warning)
			}
		})
	}
}

func TestMake_KeepsCredentials(t *testing.T) {
	directory := t.TempDir()
	for name, text := range map[string]string{"ca.crt": "ca", "me.crt": "cert", "me.key": "key"} {
		if err := os.WriteFile(filepath.Join(directory, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const kubeconfig = `
apiVersion: v1
kind: Config
current-context: host
contexts: [{name: host, context: {cluster: host, user: me, namespace: apps}}]
clusters:
- name: host
  cluster:
    server: https://host.example.com
    certificate-authority: ca.crt
    tls-server-name: host.example.com
    disable-compression: true
    extensions: [{name: client.authentication.k8s.io/exec, extension: {audience: annex}}]
users:
- name: me
  user:
    client-certificate: me.crt
    client-key: me.key
    act-as: zoe
    act-as-groups: [g]
    act-as-user-extra: {scopes: [a]}
    exec: {apiVersion: client.authentication.k8s.io/v1, command: ./login, args: [token], env: [{name: A, value: b}], interactiveMode: Never, provideClusterInfo: true}
`
	file := filepath.Join(directory, "config")
	if err := os.WriteFile(file, []byte(kubeconfig), 0o600); err != nil {
		t.Fatal(err)
	}
	source, err := Load(&clientcmd.ClientConfigLoadingRules{ExplicitPath: file}, "")
	if err != nil {
		t.Fatal(err)
	}
	made := &Entry{Name: "root:a", cluster: source.Cluster.DeepCopy(), user: source.User.DeepCopy(), source: source}
	for _, flatten := range []bool{false, true} {
		if err := made.finish(flatten); err != nil {
			t.Fatal(err)
		}
		data, err := clientcmd.Write(*made.Config())
		if err != nil {
			t.Fatal(err)
		}
		got, err := clientcmd.Load(data)
		if err != nil {
			t.Fatal(err)
		}
		cluster, user := got.Clusters["root:a"], got.AuthInfos["root:a"]
		wantCluster, wantUser := source.Cluster.DeepCopy(), source.User.DeepCopy()
		if flatten {
			wantCluster.CertificateAuthority, wantCluster.CertificateAuthorityData = "", []byte("ca")
			wantUser.ClientCertificate, wantUser.ClientCertificateData, wantUser.ClientKey, wantUser.ClientKeyData = "", []byte("cert"), "", []byte("key")
		} else if cluster.CertificateAuthority != filepath.Join(directory, "ca.crt") || user.Exec.Command != filepath.Join(directory, "login") {
			t.Errorf("relative files: %s, %s", cluster.CertificateAuthority, user.Exec.Command)
		}
		if cluster.Extensions[extension] == nil || user.Extensions[extension] == nil || cluster.Extensions["client.authentication.k8s.io/exec"] == nil {
			t.Errorf("extensions: %v, %v", cluster.Extensions, user.Extensions)
		}
		for _, c := range []*clientcmdapi.Cluster{cluster, wantCluster} {
			c.Extensions, c.LocationOfOrigin = nil, ""
		}
		for _, u := range []*clientcmdapi.AuthInfo{user, wantUser} {
			u.Extensions, u.LocationOfOrigin = nil, ""
		}
		if diff := cmp.Diff(wantCluster, cluster); diff != "" {
			t.Errorf("cluster, flatten %v (-want +got):\n%s", flatten, diff)
		}
		if diff := cmp.Diff(wantUser, user, cmpopts.IgnoreFields(clientcmdapi.ExecConfig{}, "InteractiveMode", "StdinUnavailable", "StdinUnavailableMessage", "Config")); diff != "" {
			t.Errorf("user, flatten %v (-want +got):\n%s", flatten, diff)
		}
		if namespace := got.Contexts["root:a"].Namespace; namespace != "" {
			t.Errorf("the namespace %s is one of the host", namespace)
		}
	}
}

func TestMake_TheOwnDoorByItsURL(t *testing.T) {
	server := serve(t, map[string]string{"/clusters/root:a/version": "{}"})
	source := sourceAt("https://host.example.com:6443")
	source.Cluster.CertificateAuthorityData, source.Cluster.InsecureSkipTLSVerify, source.Cluster.TLSServerName = []byte("the host's"), true, "host"
	entry, err := Make(t.Context(), source, Options{Target: Target{Workspace: "root:a"}, Server: server + "/clusters/root", Name: "mine", CopyAdministrator: true})
	if err != nil {
		t.Fatal(err)
	}
	c := entry.cluster
	if entry.Name != "mine" || entry.Warning != "" || c.Server != server+"/clusters/root:a" || c.CertificateAuthorityData != nil || c.InsecureSkipTLSVerify || c.TLSServerName != "" || entry.user.Token != "t" {
		t.Errorf("%+v, %+v", entry, c)
	}
	ca := filepath.Join(t.TempDir(), "ca.crt")
	if err := os.WriteFile(ca, []byte("annex's"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		options Options
		wantErr string
	}{
		"no file":        {Options{Server: server, CAFile: "/none"}, "--certificate-authority"},
		"no server":      {Options{CAFile: ca}, "has no effect without --server"},
		"no URL":         {Options{Server: "annex"}, "is not a URL"},
		"a host's route": {Options{Server: "https://h" + inOrg}, "leads through a host"},
	} {
		test.options.Target = Target{Workspace: "root:a"}
		if _, err := Make(t.Context(), source, test.options); err == nil || !strings.Contains(err.Error(), test.wantErr) {
			t.Errorf("%s: %v", name, err)
		}
	}
	cluster, err := Options{Server: "https://annex.example.com", CAFile: ca}.cluster(source)
	if err != nil || string(cluster.CertificateAuthorityData) != "annex's" {
		t.Errorf("%+v, %v", cluster, err)
	}
	// On the same server what was known of it holds.
	cluster, err = Options{Server: "https://host.example.com:6443/clusters/root"}.cluster(source)
	if err != nil || string(cluster.CertificateAuthorityData) != "the host's" {
		t.Errorf("%+v, %v", cluster, err)
	}
}
