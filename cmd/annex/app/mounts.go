package app

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/pflag"

	"github.com/annex-dev/annex/server/virtual/forward"
)

// MountOptions say whether workspaces may be mounted, and what the server shows to the targets of mounts.
type MountOptions struct {
	// CertFile and KeyFile are a client certificate. Workspaces cannot be mounted without it.
	CertFile, KeyFile string
	// CAFile is a bundle of authorities for the certificates of targets.
	CAFile string
}

// AddFlags adds a flag for every option.
func (o *MountOptions) AddFlags(fs *pflag.FlagSet) {
	fs.StringVar(&o.CertFile, "mount-proxy-client-cert-file", o.CertFile, "Client certificate, in PEM format, with which the server sends requests to the targets of mounted workspaces. A target that trusts it takes the users in the headers X-Remote-User, X-Remote-Group and X-Remote-Extra- for those of the requests. Without it, workspaces cannot be mounted.")
	fs.StringVar(&o.KeyFile, "mount-proxy-client-key-file", o.KeyFile, "Key of the client certificate for the targets of mounted workspaces, in PEM format.")
	fs.StringVar(&o.CAFile, "mount-proxy-ca-file", o.CAFile, "Certificate authorities for the targets of mounted workspaces, in PEM format, in addition to those of the system.")
}

// validate returns every fault.
func (o *MountOptions) validate() []error {
	var errs []error
	if (o.CertFile == "") != (o.KeyFile == "") {
		errs = append(errs, errors.New("--mount-proxy-client-cert-file and --mount-proxy-client-key-file: set both or neither"))
	}
	if o.CAFile != "" && o.CertFile == "" {
		errs = append(errs, errors.New("--mount-proxy-ca-file: has no effect without --mount-proxy-client-cert-file"))
	}
	for _, f := range [...]struct{ flag, file string }{
		{"mount-proxy-client-cert-file", o.CertFile}, {"mount-proxy-client-key-file", o.KeyFile}, {"mount-proxy-ca-file", o.CAFile},
	} {
		if f.file == "" {
			continue
		}
		if _, err := os.Stat(f.file); err != nil {
			errs = append(errs, fmt.Errorf("--%s: %w", f.flag, err))
		}
	}
	return errs
}

// credentials returns what the server shows to the targets of mounts; nil if workspaces cannot be mounted.
func (o *MountOptions) credentials() *forward.Credentials {
	if o.CertFile == "" {
		return nil
	}
	return &forward.Credentials{CertFile: o.CertFile, KeyFile: o.KeyFile, CAFile: o.CAFile}
}
