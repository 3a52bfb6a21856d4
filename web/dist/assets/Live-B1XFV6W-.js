import{a as e,f as o}from"./index-Dus-VsaJ.js";var m=o('<p class="muted">This view comes with the next commits.</p>');function i(t){var a=m();e(t,a)}export{i as default};
