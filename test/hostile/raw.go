package hostile

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"k8s.io/client-go/rest"

	"github.com/annex-dev/annex/test/framework/crowd"
)

// rawTimeout bounds a request that the server neither answers nor refuses.
const rawTimeout = time.Minute

// raw sends bytes that need be no request, over a connection of their own, and returns all answers until the server closes the
// connection. In the text, \n stands for the end of a line on the wire, and USER for the credentials and the host of the user.
func (s *Scene) raw(ctx context.Context, user, text string) ([]answer, error) {
	address, err := url.Parse(s.server.Host)
	if err != nil {
		return nil, err
	}
	security, err := rest.TLSConfigFor(s.server)
	if err != nil {
		return nil, err
	}
	security.NextProtos = []string{"http/1.1"}
	ctx, cancel := context.WithTimeout(ctx, rawTimeout)
	defer cancel()
	conn, err := (&tls.Dialer{Config: security}).DialContext(ctx, "tcp", address.Host)
	if err != nil {
		return nil, fmt.Errorf("connecting: %w", err)
	}
	defer func() { _ = conn.Close() }()
	if deadline, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(deadline)
	}
	credentials := "Host: " + address.Host
	if user != "" {
		credentials += "\nAuthorization: Bearer " + user + "-token"
	}
	onWire := strings.ReplaceAll(strings.ReplaceAll(text, "USER", credentials), "\n", "\r\n")
	// The server may close the connection before it has read all; what it has answered is there nevertheless.
	_, written := io.WriteString(conn, onWire)
	var answers []answer
	for reader := bufio.NewReader(conn); ; {
		response, err := http.ReadResponse(reader, nil)
		if err != nil {
			if len(answers) == 0 {
				return nil, errors.Join(fmt.Errorf("no answer to %.300q: %w", text, err), written)
			}
			return answers, nil
		}
		body, err := io.ReadAll(response.Body)
		if err != nil {
			return answers, fmt.Errorf("the answer to %.300q: %w", text, err)
		}
		a := answer{code: response.StatusCode, header: response.Header, body: body}
		s.judge(user, "raw", fmt.Sprintf("%q", text), a)
		answers = append(answers, a)
	}
}

// refuse sends bytes, and returns an error unless all answers are among codes; no codes mean any of 400 to 499. As long as the server
// does not look at the request because too many were refused before, it tries again.
func (s *Scene) refuse(ctx context.Context, user, text string, codes ...int) error {
	answers, err := s.raw(ctx, user, text)
	for err == nil && answers[0].code == http.StatusTooManyRequests {
		if err = crowd.Sleep(ctx, pause); err == nil {
			answers, err = s.raw(ctx, user, text)
		}
	}
	if err != nil {
		return unlessOver(ctx, err)
	}
	for _, a := range answers {
		if err := a.among(codes); err != nil {
			return fmt.Errorf("%s: %.300q: %w", user, text, err)
		}
	}
	return nil
}
