package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/pflag"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apiserver/pkg/authentication/authenticatorfactory"
	"k8s.io/apiserver/pkg/authentication/token/cache"
	"k8s.io/apiserver/pkg/authorization/authorizerfactory"
	genericoptions "k8s.io/apiserver/pkg/server/options"
	"k8s.io/apiserver/plugin/pkg/authenticator/token/webhook"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/controllers/apiservice"
	"github.com/annex-dev/annex/controllers/workspaceaccess"
	"github.com/annex-dev/annex/server"
	"github.com/annex-dev/annex/server/authentication"
)

const (
	// hostRequestTimeout bounds a single review by the host.
	hostRequestTimeout = 10 * time.Second
	// hostQPS and hostBurst bound reviews: they bound the server itself, so they are high, as in other such servers.
	hostQPS, hostBurst = 200, 400
	// readyInterval is the pause between two checks whether the configuration of the host's front proxy has been read.
	readyInterval = 100 * time.Millisecond
)

// HostOptions select the cluster that the server is installed in. Flags have the names of the stock delegating options.
type HostOptions struct {
	// Workspace is the workspace that the host shows as its own. Empty: there is no host.
	Workspace string
	// APIService is the anchor: the APIService that owns all others which the server registers. Empty: register nothing.
	APIService string
	// Masters makes administrators of the host administrators of this server.
	Masters bool

	AuthenticationKubeconfig, AuthorizationKubeconfig string
	// SkipLookup uses only RequestHeader for the front proxy.
	SkipLookup                                 bool
	TokenCacheTTL, AllowCacheTTL, DenyCacheTTL time.Duration
	RequestHeader                              genericoptions.RequestHeaderAuthenticationOptions

	// client is what follow has made of AuthenticationKubeconfig; nil without a host.
	client kubernetes.Interface
}

// NewHostOptions returns the defaults.
func NewHostOptions() *HostOptions {
	return &HostOptions{
		Workspace:     logicalcluster.Root.String(),
		APIService:    apiservice.DefaultAnchor,
		TokenCacheTTL: 10 * time.Second,
		AllowCacheTTL: 10 * time.Second,
		DenyCacheTTL:  10 * time.Second,
		RequestHeader: genericoptions.NewDelegatingAuthenticationOptions().RequestHeader,
	}
}

// AddFlags adds a flag for every option.
func (o *HostOptions) AddFlags(fs *pflag.FlagSet) {
	fs.StringVar(&o.Workspace, "host-workspace", o.Workspace, "Workspace whose objects the host cluster shows as its own. 'kubectl get workspaces' on the host lists the workspaces in it. Empty: no host, even in a pod.")
	fs.StringVar(&o.APIService, "host-apiservice", o.APIService, "APIService of the host that leads to this server, <version>.<group>. The server updates its caBundle, and registers its other group versions in the same way while this APIService exists. Empty: do not change any APIService.")
	fs.BoolVar(&o.Masters, "host-masters", o.Masters, "Keep the groups system:masters and system:kcp:* of host users, so that administrators of the host are administrators of this server. By default they are ordinary users.")
	fs.StringVar(&o.AuthenticationKubeconfig, "authentication-kubeconfig", o.AuthenticationKubeconfig, "Kubeconfig for the host. The server uses it to review bearer tokens and to read the configuration of the front proxy. Default: the cluster of the pod. Outside of a pod, the default is no host.")
	fs.BoolVar(&o.SkipLookup, "authentication-skip-lookup", o.SkipLookup, "Do not read the configuration of the front proxy from the host. Use only --requestheader-client-ca-file.")
	fs.DurationVar(&o.TokenCacheTTL, "authentication-token-webhook-cache-ttl", o.TokenCacheTTL, "How long to cache the decision of the webhook, or of the host, about a bearer token.")
	fs.StringVar(&o.AuthorizationKubeconfig, "authorization-kubeconfig", o.AuthorizationKubeconfig, "Kubeconfig for the host. The server uses it to review permissions of host users in the host workspace. Default: the cluster of the pod. Outside of a pod, only RBAC of the workspace decides.")
	fs.DurationVar(&o.AllowCacheTTL, "authorization-webhook-cache-authorized-ttl", o.AllowCacheTTL, "How long to cache the decision of the host, or of the webhook, that a request is allowed.")
	fs.DurationVar(&o.DenyCacheTTL, "authorization-webhook-cache-unauthorized-ttl", o.DenyCacheTTL, "How long to cache the decision of the host, or of the webhook, that a request is denied.")
	o.RequestHeader.AddFlags(fs)
}

// files returns the flags that name files.
func (o *HostOptions) files() map[string]string {
	return map[string]string{
		"authentication-kubeconfig": o.AuthenticationKubeconfig, "authorization-kubeconfig": o.AuthorizationKubeconfig,
		"requestheader-client-ca-file": o.RequestHeader.ClientCAFile,
	}
}

// validate returns every fault, except faults in files.
func (o *HostOptions) validate() []error {
	errs := o.RequestHeader.Validate()
	for flag, value := range map[string]time.Duration{
		"authentication-token-webhook-cache-ttl":       o.TokenCacheTTL,
		"authorization-webhook-cache-authorized-ttl":   o.AllowCacheTTL,
		"authorization-webhook-cache-unauthorized-ttl": o.DenyCacheTTL,
	} {
		if value < 0 {
			errs = append(errs, fmt.Errorf("--%s %s: must not be negative", flag, value))
		}
	}
	if version, group, ok := strings.Cut(o.APIService, "."); o.APIService != "" && (!ok || version == "" || group == "") {
		errs = append(errs, fmt.Errorf("--host-apiservice %q: must be <version>.<group>, such as %s, or empty", o.APIService, apiservice.DefaultAnchor))
	}
	if o.Workspace == "" {
		for flag, value := range o.files() {
			if value != "" {
				errs = append(errs, fmt.Errorf("--%s: has no effect while --host-workspace is empty", flag))
			}
		}
		return errs
	}
	path, err := logicalcluster.ParsePath(o.Workspace)
	if err == nil && (path == logicalcluster.Wildcard || logicalcluster.Name(path).IsSystem()) {
		err = errors.New("must be a workspace, such as root:platform")
	}
	if err != nil {
		errs = append(errs, fmt.Errorf("--host-workspace %q: %w", o.Workspace, err))
	}
	return errs
}

// hostConfig returns the credentials in a kubeconfig, or those of the pod if kubeconfig is empty. Outside of a pod it returns nil.
func hostConfig(flag, kubeconfig string) (*rest.Config, error) {
	config, err := rest.InClusterConfig()
	if kubeconfig != "" {
		config, err = clientcmd.BuildConfigFromFlags("", kubeconfig)
	}
	switch {
	case kubeconfig == "" && (errors.Is(err, rest.ErrNotInCluster) || errors.Is(err, os.ErrNotExist)):
		// A pod without a token has no host, either.
		return nil, nil //nolint:nilnil // alone, as asked for
	case err != nil:
		return nil, fmt.Errorf("--%s: %w", flag, err)
	}
	config.QPS, config.Burst = hostQPS, hostBurst
	return config, nil
}

// build returns the host and the authentication of its users; nil for both without a host. It sends no request to the host.
func (o *HostOptions) build() (*server.Host, *authentication.Host, error) {
	if o.Workspace == "" {
		return nil, nil, nil
	}
	reviews, err := hostConfig("authentication-kubeconfig", o.AuthenticationKubeconfig)
	if err != nil {
		return nil, nil, err
	}
	if reviews == nil && o.RequestHeader.ClientCAFile == "" {
		return nil, nil, o.withoutHost()
	}
	host := &server.Host{Workspace: logicalcluster.Path(o.Workspace)}
	users := &authentication.Host{Masters: o.Masters}
	if users.RequestHeader, err = o.RequestHeader.ToAuthenticationRequestHeaderConfig(); err != nil {
		return nil, nil, fmt.Errorf("--requestheader-client-ca-file: %w", err)
	}
	if reviews != nil {
		if err := o.follow(reviews, host, users); err != nil {
			return nil, nil, err
		}
	}
	return host, users, o.buildAuthorizer(host)
}

// withoutHost returns an error if a flag asks the host for permissions although there is no host.
func (o *HostOptions) withoutHost() error {
	if o.AuthorizationKubeconfig != "" {
		return errors.New("--authorization-kubeconfig: has no effect without --authentication-kubeconfig or --requestheader-client-ca-file")
	}
	return nil
}

// follow lets the host review tokens, and reads the configuration of its front proxy.
func (o *HostOptions) follow(config *rest.Config, host *server.Host, users *authentication.Host) error {
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("--authentication-kubeconfig: %w", err)
	}
	authenticatorfactory.RegisterMetrics()
	reviews, err := webhook.NewFromInterface(client.AuthenticationV1(), nil, *genericoptions.DefaultAuthWebhookRetryBackoff(), hostRequestTimeout, webhook.AuthenticatorMetrics{
		RecordRequestTotal:   authenticatorfactory.RecordRequestTotal,
		RecordRequestLatency: authenticatorfactory.RecordRequestLatency,
	})
	if err != nil {
		return fmt.Errorf("preparing to review tokens: %w", err)
	}
	users.Tokens = cache.New(reviews, false, o.TokenCacheTTL, o.TokenCacheTTL)
	ready := func() error { return nil }
	o.client = client
	if users.RequestHeader == nil && !o.SkipLookup {
		proxy, err := authentication.NewFrontProxy(client)
		if err != nil {
			return err
		}
		users.RequestHeader, ready = proxy.RequestHeader(), proxy.Ready
	}
	host.Namespace = func(ctx context.Context, name string) (*corev1.Namespace, error) {
		return client.CoreV1().Namespaces().Get(ctx, name, metav1.GetOptions{})
	}
	host.Quotas = client.CoreV1()
	host.Reach = func(ctx context.Context) error {
		if err := client.Discovery().RESTClient().Get().AbsPath("/version").Do(ctx).Error(); err != nil {
			return fmt.Errorf("asking for its version: %w", err)
		}
		return awaitReady(ctx, ready)
	}
	return nil
}

// core returns a client for namespaces and Secrets of the host; nil if there is no kubeconfig for the host.
func (o *HostOptions) core() workspaceaccess.Host {
	if o.client == nil {
		return nil
	}
	return o.client.CoreV1()
}

// awaitReady waits until ready returns nil, and returns its last error when ctx ends. Right after the start, the configuration of
// the front proxy is still being read, which is not a fault of the host.
func awaitReady(ctx context.Context, ready func() error) error {
	var fault error
	if err := wait.PollUntilContextCancel(ctx, readyInterval, true, func(context.Context) (bool, error) {
		fault = ready()
		return fault == nil, nil
	}); err != nil && fault == nil {
		return err
	}
	return fault
}

// buildAuthorizer lets the host decide what its users may do in the host workspace.
func (o *HostOptions) buildAuthorizer(host *server.Host) error {
	config, err := hostConfig("authorization-kubeconfig", o.AuthorizationKubeconfig)
	if err != nil || config == nil {
		return err
	}
	config.Timeout = hostRequestTimeout
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("--authorization-kubeconfig: %w", err)
	}
	host.Authorizer, err = authorizerfactory.DelegatingAuthorizerConfig{
		SubjectAccessReviewClient: client.AuthorizationV1(),
		AllowCacheTTL:             o.AllowCacheTTL,
		DenyCacheTTL:              o.DenyCacheTTL,
		WebhookRetryBackoff:       genericoptions.DefaultAuthWebhookRetryBackoff(),
	}.New()
	if err != nil {
		return fmt.Errorf("preparing to ask the host for permissions: %w", err)
	}
	return nil
}
