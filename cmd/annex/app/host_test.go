package app

import (
	"os"
	"path/filepath"
	"testing"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// Nothing of a host is there unless it is asked for.
func TestHostOptions_Build(t *testing.T) {
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	config := clientcmdapi.NewConfig()
	config.Clusters["c"] = &clientcmdapi.Cluster{Server: "https://127.0.0.1:1"}
	config.Contexts["c"] = &clientcmdapi.Context{Cluster: "c"}
	config.CurrentContext = "c"
	if err := clientcmd.WriteToFile(*config, kubeconfig); err != nil {
		t.Fatal(err)
	}
	nonsense := filepath.Join(t.TempDir(), "nonsense")
	if err := os.WriteFile(nonsense, []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	type parts struct{ host, headers, tokens, authorizer, reach bool }
	for name, tc := range map[string]struct {
		change func(*HostOptions)
		want   parts
		fails  bool
	}{
		"alone":              {func(*HostOptions) {}, parts{}, false},
		"tokens and headers": {func(o *HostOptions) { o.AuthenticationKubeconfig = kubeconfig }, parts{host: true, headers: true, tokens: true, reach: true}, false},
		"permissions, too": {func(o *HostOptions) { o.AuthenticationKubeconfig, o.AuthorizationKubeconfig = kubeconfig, kubeconfig },
			parts{host: true, headers: true, tokens: true, authorizer: true, reach: true}, false},
		"tokens without headers": {func(o *HostOptions) { o.AuthenticationKubeconfig, o.SkipLookup = kubeconfig, true }, parts{host: true, tokens: true, reach: true}, false},
		"switched off":           {func(o *HostOptions) { o.AuthenticationKubeconfig, o.Workspace = kubeconfig, "" }, parts{}, false},
		"permissions alone":      {func(o *HostOptions) { o.AuthorizationKubeconfig = kubeconfig }, parts{}, true},
		"not a kubeconfig":       {func(o *HostOptions) { o.AuthenticationKubeconfig = nonsense }, parts{}, true},
		"not a CA":               {func(o *HostOptions) { o.RequestHeader.ClientCAFile = nonsense }, parts{}, true},
	} {
		t.Run(name, func(t *testing.T) {
			o := NewHostOptions()
			tc.change(o)
			host, users, err := o.build()
			if (err != nil) != tc.fails {
				t.Fatalf("build: %v", err)
			}
			if err != nil {
				return
			}
			got := parts{host: host != nil && users != nil}
			if got.host {
				got.headers, got.tokens = users.RequestHeader != nil, users.Tokens != nil
				got.authorizer, got.reach = host.Authorizer != nil, host.Reach != nil
			}
			if got != tc.want {
				t.Errorf("built %+v, want %+v", got, tc.want)
			}
		})
	}
}
