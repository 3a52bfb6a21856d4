package server

import (
	"slices"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

type pair = [2]string

func self(p *pair) [2]string { return *p }

func TestPagesAreTheWholeList(t *testing.T) {
	list := []pair{{"a", ""}, {"a", "b"}, {"a.b", ""}, {"b", "\xff"}, {"c", "z"}}
	for size := int32(1); size < 7; size++ {
		var got []pair
		token, pages := "", 0
		for {
			part, next, err := page(slices.Clone(list), size, token, self)
			if err != nil || len(part) > int(size) {
				t.Fatalf("size %d: %d elements, %v", size, len(part), err)
			}
			got = append(got, part...)
			if pages++; next == "" {
				break
			}
			token = next
		}
		if want := (len(list) + int(size) - 1) / int(size); !slices.Equal(got, list) || pages != want {
			t.Errorf("size %d: %q in %d pages, want %d", size, got, pages, want)
		}
	}
}

func TestAPageGoesOnWhereTheOneBeforeEnded(t *testing.T) {
	_, token, err := page([]pair{{"a", ""}, {"c", ""}, {"d", ""}}, 2, "", self)
	if err != nil {
		t.Fatal(err)
	}
	// What came and went meanwhile moves nothing else.
	part, next, err := page([]pair{{"a", ""}, {"b", ""}, {"d", ""}, {"e", ""}}, 2, token, self)
	if err != nil || next != "" || !slices.Equal(part, []pair{{"d", ""}, {"e", ""}}) {
		t.Errorf("%q %q %v", part, next, err)
	}
	if part, next, err = page([]pair{{"a", ""}}, 2, token, self); err != nil || next != "" || len(part) != 0 {
		t.Errorf("behind the end: %q %q %v", part, next, err)
	}
}

func TestWrongPages(t *testing.T) {
	for _, c := range []struct {
		size  int32
		token string
	}{{-1, ""}, {10001, ""}, {0, "%"}, {0, "YQ"}} {
		if _, _, err := page([]pair{{"a", ""}}, c.size, c.token, self); status.Code(err) != codes.InvalidArgument {
			t.Errorf("%v: %v", c, err)
		}
	}
}
