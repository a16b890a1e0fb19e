package app

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/annex-dev/annex/server"
	"github.com/annex-dev/annex/server/authorization"
)

// AuthorizationOptions say who decides about requests. Flags have the names of kcp.
type AuthorizationOptions struct {
	Order, AlwaysAllowPaths []string
	// WebhookFile is a kubeconfig for the service that decides, in WebhookVersion of authorization.k8s.io.
	WebhookFile, WebhookVersion string
}

// NewAuthorizationOptions returns the defaults.
func NewAuthorizationOptions() *AuthorizationOptions {
	return &AuthorizationOptions{Order: authorization.DefaultOrder(), AlwaysAllowPaths: authorization.DefaultAlwaysAllowPaths(), WebhookVersion: "v1beta1"}
}

// AddFlags adds a flag for every option.
func (o *AuthorizationOptions) AddFlags(fs *pflag.FlagSet) {
	fs.StringSliceVar(&o.Order, "authorization-order", o.Order, fmt.Sprintf("Who decides about requests in workspaces, and who is asked first. Any of %s. The first one that allows or denies a request decides. Webhook needs --authorization-webhook-config-file.", strings.Join(authorization.DefaultOrder(), ", ")))
	fs.StringSliceVar(&o.AlwaysAllowPaths, "authorization-always-allow-paths", o.AlwaysAllowPaths, "Paths that everybody may read, in every workspace. One that ends in * stands for all paths that begin so.")
	fs.StringVar(&o.WebhookFile, "authorization-webhook-config-file", o.WebhookFile, "Kubeconfig of a service that decides about requests, at its place in --authorization-order.")
	fs.StringVar(&o.WebhookVersion, "authorization-webhook-version", o.WebhookVersion, "Version of authorization.k8s.io in which that service decides: v1 or v1beta1.")
}

// validate returns every fault, except faults in files.
func (o *AuthorizationOptions) validate() []error {
	var errs []error
	if err := authorization.CheckOrder(o.Order); err != nil {
		errs = append(errs, fmt.Errorf("--authorization-order: %w", err))
	}
	if err := authorization.CheckPaths(o.AlwaysAllowPaths); err != nil {
		errs = append(errs, fmt.Errorf("--authorization-always-allow-paths: %w", err))
	}
	if o.WebhookFile != "" && !slices.Contains(o.Order, authorization.Webhook) {
		errs = append(errs, errors.New("--authorization-webhook-config-file: has no effect without Webhook in --authorization-order"))
	}
	if o.WebhookVersion != "v1" && o.WebhookVersion != "v1beta1" {
		errs = append(errs, fmt.Errorf("--authorization-webhook-version %q: must be v1 or v1beta1", o.WebhookVersion))
	}
	return errs
}

// authorization returns who decides. The error names the flag to correct.
func (o *Options) authorization() (server.Authorization, error) {
	a := o.Authorization
	c := server.Authorization{Order: a.Order, AlwaysAllowPaths: a.AlwaysAllowPaths}
	if a.WebhookFile == "" {
		return c, nil
	}
	var err error
	c.Webhook, err = authorization.NewWebhook(authorization.WebhookConfig{
		Kubeconfig: a.WebhookFile, Version: a.WebhookVersion, AllowTTL: o.Host.AllowCacheTTL, DenyTTL: o.Host.DenyCacheTTL,
	})
	return c, err
}
