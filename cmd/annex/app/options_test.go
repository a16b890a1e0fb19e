package app

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/component-base/cli/flag"
)

// apart returns what sets a main etcd and overrides.
func apart(overrides ...string) func(*Options) {
	return func(o *Options) {
		o.EtcdServers, o.EtcdServersOverrides = []string{"http://a:1", "http://a:2"}, overrides
	}
}

func TestOptions_Overrides(t *testing.T) {
	o := NewOptions()
	apart("/secrets#http://c:1;http://b:1", "cr/0#http://d:1", "cr/1#http://b:1;http://c:1")(o)
	got, faults := o.overrides()
	want := []override{
		{servers: []string{"http://b:1", "http://c:1"}, roots: []string{"/core/secrets", "/cr/1"}},
		{servers: []string{"http://d:1"}, roots: []string{"/cr/0"}},
	}
	if len(faults) > 0 || !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, %v; want %v", got, faults, want)
	}
}

func TestOptions_Validate(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*Options)
		want   string // what the error begins with; empty for none
	}{
		"the defaults":             {func(*Options) {}, ""},
		"no limits":                {func(o *Options) { *o.Limits = LimitOptions{} }, ""},
		"no etcd prefix":           {func(o *Options) { o.EtcdPrefix = "/" }, "--etcd-prefix"},
		"a URL without host":       {func(o *Options) { o.ShardExternalURL = "https://" }, "--shard-external-url"},
		"half a key pair":          {func(o *Options) { o.EtcdCertFile = "options_test.go" }, "--etcd-certfile"},
		"other etcds":              {apart("/secrets#http://b:1;http://c:1", "cr/0#http://b:1", "cr/15#unix:///tmp/etcd"), ""},
		"no main etcd":             {func(o *Options) { o.EtcdServersOverrides = []string{"/secrets#http://b:1"} }, "--etcd-servers-overrides has no effect without --etcd-servers"},
		"no servers of an etcd":    {apart("/secrets"), `--etcd-servers-overrides "/secrets": must be group/resource#servers`},
		"empty servers of an etcd": {apart("/secrets#"), `--etcd-servers-overrides "/secrets#": must be group/resource#servers`},
		"half a list of servers":   {apart("/secrets#http://b:1;"), `--etcd-servers-overrides "/secrets#http://b:1;": "" must be a URL`},
		"servers without scheme":   {apart("/secrets#b:1"), `--etcd-servers-overrides "/secrets#b:1": "b:1" must be a URL`},
		"an owner elsewhere":       {apart("/namespaces#http://b:1"), `--etcd-servers-overrides "/namespaces": other objects belong to these`},
		"a nameless kind":          {apart("secrets#http://b:1"), `--etcd-servers-overrides "secrets": must be a group and a resource`},
		"a shard too many":         {apart("cr/16#http://b:1"), `--etcd-servers-overrides "cr/16": custom resources are cr/0 to cr/15`},
		"a kind twice":             {apart("cr/1#http://b:1", "cr/1#http://c:1"), `--etcd-servers-overrides "cr/1#http://c:1": cr/1 is named twice`},
		"the main etcd twice":      {apart("cr/1#http://a:2;http://a:1"), `--etcd-servers-overrides "cr/1#http://a:2;http://a:1": these are the servers of --etcd-servers`},
		"an unknown battery":       {func(o *Options) { o.BatteriesIncluded = []string{"x"} }, "--batteries-included"},
		"a file that is not":       {func(o *Options) { o.Logins.TokenAuthFile = "missing" }, "--token-auth-file"},
		"negative reads":           {func(o *Options) { o.Limits.MaxRequests = -1 }, "--max-requests-inflight"},
		"negative writes":          {func(o *Options) { o.Limits.MaxMutatingRequests = -1 }, "--max-mutating-requests-inflight"},
		"negative objects":         {func(o *Options) { o.Limits.MaxObjects = -1 }, "--max-objects-per-workspace"},
		"negative bytes":           {func(o *Options) { o.Limits.MaxBytes.Quantity = resource.MustParse("-1") }, "--max-bytes-per-workspace"},
		"too little memory":        {func(o *Options) { o.MemoryBudget.Quantity = resource.MustParse("63Mi") }, "--memory-budget 63Mi: must be at least 64Mi"},
		"no time for a request":    {func(o *Options) { o.RequestTimeout = 0 }, "--request-timeout"},
		"no time to convert":       {func(o *Options) { o.ConversionTimeout = 0 }, "--conversion-cel-transformation-timeout 0s: must be greater than 0"},
		"a negative delay":         {func(o *Options) { o.ShutdownDelay = -time.Second }, "--shutdown-delay-duration"},
		"a workspace of the host":  {func(o *Options) { o.Host.Workspace = "root:hosted" }, ""},
		"no host":                  {func(o *Options) { o.Host.Workspace = "" }, ""},
		"all of it for the host":   {func(o *Options) { o.Host.Workspace = "*" }, "--host-workspace"},
		"a host without access":    {func(o *Options) { o.Host.AuthenticationKubeconfig = "missing" }, "--authentication-kubeconfig"},
		"a host that is off": {func(o *Options) {
			o.Host.Workspace, o.Host.AuthenticationKubeconfig = "", "options_test.go"
		}, "--authentication-kubeconfig"},
		"nobody who decides": {func(o *Options) { o.Authorization.Order = nil }, "--authorization-order: nobody decides"},
		"an unknown decider": {func(o *Options) { o.Authorization.Order = []string{"Node"} }, `--authorization-order: "Node" does not decide`},
		"a decider twice":    {func(o *Options) { o.Authorization.Order = []string{"RBAC", "RBAC"} }, "--authorization-order: RBAC is twice in the order"},
		"an open path":       {func(o *Options) { o.Authorization.AlwaysAllowPaths = []string{"*"} }, "--authorization-always-allow-paths"},
		"no place for a webhook": {func(o *Options) {
			o.Authorization.Order, o.Authorization.WebhookFile = []string{"RBAC"}, "options_test.go"
		}, "--authorization-webhook-config-file: has no effect without Webhook"},
		"a deciding webhook that is missing": {func(o *Options) { o.Authorization.WebhookFile = "missing" }, "--authorization-webhook-config-file"},
		"a version of a webhook":             {func(o *Options) { o.Authorization.WebhookVersion = "v2" }, "--authorization-webhook-version"},
		"a negative cache":                   {func(o *Options) { o.Host.TokenCacheTTL = -time.Second }, "--authentication-token-webhook-cache-ttl"},
		"a nameless header":                  {func(o *Options) { o.Host.RequestHeader.UsernameHeaders = []string{" "} }, "empty value"},
		"a lease too short":                  {func(o *Options) { o.Leader.LeaseDuration = o.Leader.RenewDeadline }, "--leader-elect-lease-duration"},
		"half a serving pair":                {func(o *Options) { o.Serving.ServerCert.CertKey.CertFile = "options_test.go" }, "--tls-cert-file"},
		"a CA of nothing":                    {func(o *Options) { o.ServingCAFile = "options_test.go" }, "--serving-ca-file"},
		"a CA that is not": {func(o *Options) {
			o.Serving.ServerCert.CertKey.CertFile, o.Serving.ServerCert.CertKey.KeyFile = "options_test.go", "options_test.go"
			o.ServingCAFile = "missing"
		}, "--serving-ca-file"},
		"more names": {func(o *Options) {
			o.ServingNames = []string{"annex.annex-system.svc", "*.example.com", "10.0.0.1", "fd00::1"}
		}, ""},
		"a name that is none": {func(o *Options) { o.ServingNames = []string{"https://example.com"} }, "--tls-san"},
		"names of a given pair": {func(o *Options) {
			o.Serving.ServerCert.CertKey.CertFile, o.Serving.ServerCert.CertKey.KeyFile = "options_test.go", "options_test.go"
			o.ServingNames = []string{"example.com"}
		}, "--tls-san"},
		"masters of no CA": {func(o *Options) { o.Logins.ClientCAMasters = true }, "--client-ca-masters: has no effect without --client-ca-file"},
		"an issuer": {func(o *Options) {
			o.Logins.OIDC.IssuerURL, o.Logins.OIDC.ClientID = "https://issuer.example.com", "annex"
		}, ""},
		"an issuer without audience": {func(o *Options) { o.Logins.OIDC.IssuerURL = "https://issuer.example.com" }, "--oidc-issuer-url: requires --oidc-client-id"},
		"issuers that are missing":   {func(o *Options) { o.Logins.ConfigFile = "missing" }, "--authentication-config"},
		"an audience that is none":   {func(o *Options) { o.Logins.APIAudiences = []string{"annex", ""} }, "--api-audiences: an audience must not be empty"},
		"issuers twice": {func(o *Options) {
			o.Logins.ConfigFile, o.Logins.OIDC.IssuerURL, o.Logins.OIDC.ClientID = "options_test.go", "https://issuer.example.com", "annex"
		}, "--authentication-config: replaces the --oidc flags"},
		"a webhook that is missing": {func(o *Options) { o.Logins.WebhookFile = "missing" }, "--authentication-token-webhook-config-file"},
		"a review of the future":    {func(o *Options) { o.Logins.WebhookVersion = "v2" }, `--authentication-token-webhook-version "v2": must be v1 or v1beta1`},
		"an anchor without group":   {func(o *Options) { o.Host.APIService = "v1alpha1" }, "--host-apiservice"},
		"no anchor":                 {func(o *Options) { o.Host.APIService = "" }, ""},
		"a negative grace":          {func(o *Options) { o.ShutdownWatchGrace = -time.Second }, "--shutdown-watch-termination-grace-period"},
	} {
		t.Run(name, func(t *testing.T) {
			o := NewOptions()
			o.RootDirectory = t.TempDir()
			tc.change(o)
			if err := o.Complete(); err != nil {
				t.Fatal(err)
			}
			err := o.Validate()
			if (err == nil) != (tc.want == "") || (err != nil && !strings.HasPrefix(err.Error(), tc.want)) {
				t.Errorf("Validate() = %v, want %q", err, tc.want)
			}
		})
	}
}

func TestOptions_Complete_LeaderElection(t *testing.T) {
	for name, tc := range map[string]struct {
		args []string
		want bool
	}{
		"an etcd of its own":                  {nil, false},
		"an etcd that others may use":         {[]string{"--etcd-servers=https://etcd:2379"}, true},
		"asked for":                           {[]string{"--leader-elect"}, true},
		"asked for, with a value":             {[]string{"--leader-elect=true"}, true},
		"not wanted though others may use it": {[]string{"--etcd-servers=https://etcd:2379", "--leader-elect=false"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			o, all := NewOptions(), pflag.NewFlagSet("", pflag.ContinueOnError)
			var sets flag.NamedFlagSets
			o.AddFlags(&sets)
			for _, fs := range sets.FlagSets {
				all.AddFlagSet(fs)
			}
			if err := all.Parse(tc.args); err != nil {
				t.Fatal(err)
			}
			if err := o.Complete(); err != nil {
				t.Fatal(err)
			}
			if got := o.LeaderElect.Value(); got != tc.want {
				t.Errorf("leader election is %t, want %t", got, tc.want)
			}
		})
	}
}

// The flag and the file cannot both say who is anonymous.
func TestOptions_Check_Anonymous(t *testing.T) {
	const header = "apiVersion: apiserver.config.k8s.io/v1\nkind: AuthenticationConfiguration\n"
	for name, tc := range map[string]struct {
		file  string
		value flag.Tristate
		want  string
		anon  bool
	}{
		"the file":           {header + "anonymous: {enabled: false}\n", 0, "", true},
		"the flag":           {header, flag.False, "", false},
		"neither":            {header, 0, "", true},
		"both":               {header + "anonymous: {enabled: false}\n", flag.True, "--anonymous-auth: must not be set", true},
		"nothing that works": {"x", flag.True, "--authentication-config", true},
	} {
		t.Run(name, func(t *testing.T) {
			o := NewOptions()
			o.RootDirectory = t.TempDir()
			o.Logins.ConfigFile, o.Logins.Anonymous = filepath.Join(t.TempDir(), "config.yaml"), tc.value
			if err := os.WriteFile(o.Logins.ConfigFile, []byte(tc.file), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(o.Complete(), o.Validate()); err != nil {
				t.Fatal(err)
			}
			if err := o.check(); (err == nil) != (tc.want == "") || (err != nil && !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("check() = %v, want %q", err, tc.want)
			}
			if got := o.logins("").Anonymous; got != tc.anon {
				t.Errorf("anonymous is %t, want %t", got, tc.anon)
			}
		})
	}
}
