package postgres

import (
	"encoding/base64"
	"regexp"
	"strings"
	"testing"
)

// A name is one that PostgreSQL takes without quotes and does not cut, with the longest suffix.
var valid = regexp.MustCompile(`^db_[a-z0-9_]{1,20}_[a-z2-7]{26}$`)

func TestNameFor(t *testing.T) {
	long := strings.Repeat("n", 253)
	names := map[Name]string{}
	for _, object := range [][3]string{
		{"2f8kq1z0c7a9x3bd", "default", "orders"}, {"2f8kq1z0c7a9x3be", "default", "orders"}, {"2f8kq1z0c7a9x3bd", "defaul", "torders"},
		{"2f8kq1z0c7a9x3bd", "default-orders", "x"}, {"2f8kq1z0c7a9x3bd", "default", "orders-x"}, {"2f8kq1z0c7a9x3bd", "default", "orders.x"},
		{"2f8kq1z0c7a9x3bd", long, long}, {"2f8kq1z0c7a9x3bd", long, long[1:]}, {"root", "1", "1"}, {"root", "default", `"; DROP ROLE x; --`}, {"root", "default", "ä"},
	} {
		name := NameFor(object[0], object[1], object[2])
		if !valid.MatchString(string(name)) {
			t.Errorf("%v is called %q", object, name)
		}
		for _, login := range name.Logins() {
			if len(login) > 63 || !name.Has(login) || name.Other(name.Other(login)) != login {
				t.Errorf("the login %q of %q", login, name)
			}
		}
		if other, both := names[name]; both {
			t.Errorf("%v and %s are both called %q", object, other, name)
		}
		names[name] = strings.Join(object[:], "/")
	}
	name := NameFor("root", "default", "orders")
	if name != NameFor("root", "default", "orders") {
		t.Error("the name is another one the second time")
	}
	// What a Secret says is not trusted.
	for _, login := range []string{"", string(name), "postgres", string(name) + "_c"} {
		if name.Has(login) || name.Other(login) != name.Logins()[0] {
			t.Errorf("%q is a login of %q", login, name)
		}
	}
}

// The example of RFC 7677.
func TestVerifier(t *testing.T) {
	salt, err := base64.StdEncoding.DecodeString("W22ZaJ0SNY7soEsUEjb6gQ==")
	if err != nil {
		t.Fatal(err)
	}
	got, err := verifier("pencil", salt)
	want := "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
	if err != nil || got != want {
		t.Errorf("%q, %v, want %q", got, err, want)
	}
	if first, second := NewPassword(), NewPassword(); first == second || len(first) < 20 {
		t.Error("passwords can be guessed")
	}
}

// An error about the URI does not show the password in it.
func TestOpen_KeepsThePassword(t *testing.T) {
	if _, err := Open(t.Context(), "postgresql://operator:hunter2@host:port/db"); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("a bad URI: %v", err)
	}
	server, err := Open(t.Context(), "postgresql://operator:hunter2@db.example.com:6432/postgres")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	if host, port := server.Address(); host != "db.example.com" || port != 6432 {
		t.Errorf("the server is at %s:%d", host, port)
	}
}
