package kubelet

import (
	"fmt"
	"net"
)

// Option changes how a node is started.
type Option func(*options) error

type options struct {
	images  map[string]Image
	outside []string
}

func newOptions(opts []Option) (options, error) {
	o := options{images: map[string]Image{}}
	for _, opt := range opts {
		if err := opt(&o); err != nil {
			return o, err
		}
	}
	return o, nil
}

// WithImage says that the image of the given name is this one program: its
// entrypoint, run as user 65532. A name with a tag, "annex:1.0.0", is for that
// tag; one without, "annex", for all tags that have none of their own.
func WithImage(name, binary string) Option {
	return WithImageOf(name, programImage(binary))
}

// WithImageOf is [WithImage] for an image with more to say.
func WithImageOf(name string, image Image) Option {
	return func(o *options) error {
		complete, err := image.complete()
		if err != nil {
			return fmt.Errorf("image %q: %w", name, err)
		}
		o.images[name] = complete
		return nil
	}
}

// WithOutside lets pods connect to addresses of this machine, such as an etcd at
// "127.0.0.1:2379". Pods have a loopback interface of their own, in which a
// loopback address of the machine is then taken.
func WithOutside(addresses ...string) Option {
	return func(o *options) error {
		for _, address := range addresses {
			host, port, err := net.SplitHostPort(address)
			if err != nil {
				return fmt.Errorf("outside address: %w", err)
			}
			if host == "localhost" {
				host = "127.0.0.1"
			}
			if ip := net.ParseIP(host); ip == nil || ip.To4() == nil {
				return fmt.Errorf("outside address %q: want an IPv4 address and a port", address)
			}
			o.outside = append(o.outside, net.JoinHostPort(host, port))
		}
		return nil
	}
}
